"""Writes generated data sets in MovieLens's newer form, some users at a time: ratings.csv and movies.csv."""

from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from benchmarks.generated.ratings import Community
from benchmarks.generated.shape import Shape

_HEADER = "userId,movieId,rating,timestamp\n"


def write_movielens(folder: Path, shape: Shape, seed: int = 1) -> Path:
    """Generates a data set: `kindred load --path FOLDER` reads it.

    Args:
        folder: Where to; made if it is not there.
        shape: The sizes.
        seed: The same seed writes the same bytes.

    Returns:
        The folder.
    """
    community = Community.of(shape, seed)
    folder.mkdir(parents=True, exist_ok=True)
    plain = csv.WriteOptions(include_header=False, quoting_style="none")
    with (folder / "ratings.csv").open("wb") as file:
        file.write(_HEADER.encode())
        for rows in community.ratings():
            columns = {"user": rows.users, "item": rows.items, "value": rows.values, "time": rows.times}
            csv.write_csv(pa.table(columns), file, plain)
    catalog = community.catalog
    with (folder / "movies.csv").open("w") as movies:
        movies.write("movieId,title,genres\n")
        for place in catalog.ids.argsort().tolist():
            movies.write(f"{catalog.ids[place]},{catalog.title(place)},{catalog.genres(place)}\n")
    return folder
