"""`kindred recommend`: what would this person like?"""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from cli.answer_options import (
    Explain,
    ExplainOption,
    LimitOption,
    TimingOption,
    View,
    ViewOption,
    WatchOption,
    WithoutOption,
)
from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    Client,
    DataDirOption,
    FreshOption,
    JsonOption,
    ServerOption,
    TimeoutOption,
    connect,
)
from cli.filter_options import (
    ITEMS,
    NEIGHBORS,
    AllGenresOption,
    AllTagsOption,
    AnyItemOption,
    AnyNeighborOption,
    FromYearOption,
    GenreOption,
    ItemOption,
    NeighborActiveSinceOption,
    NeighborMinRatingsOption,
    NeighborOption,
    NotGenreOption,
    NotTagOption,
    OnlyOption,
    TagOption,
    ToYearOption,
    item_filter,
    user_filter,
)
from cli.item_choice import TypedItem, choose_items
from cli.opinions import Opinion, check_distinct, typed_item
from cli.origins import Origins, origin_of, under
from cli.output import complain, misused
from cli.period_options import HalfLifeOption, SinceOption, UntilOption, rating_period
from cli.ranking_options import BoostOption, DiversityOption, NewShareOption, read_boosts
from cli.recipe_options import BUILT_IN, RecipeOption, SetOption, set_recipe
from cli.recommendation_printer import Printer
from cli.timing_table import print_timing
from cli.whom_options import (
    RatingOption,
    RatingsFileOption,
    StoredUserOption,
    WhomDislikeOption,
    WhomLikeOption,
    read_opinions,
)
from kindred.v1.item_pb2 import Item
from kindred.v1.recommendation_service_pb2 import (
    NeighborOptions,
    RecommendRequest,
    WatchRecommendationsRequest,
)


def recommend(
    ctx: typer.Context,
    *,
    user: StoredUserOption = "",
    like: WhomLikeOption = None,
    dislike: WhomDislikeOption = None,
    rating: RatingOption = None,
    ratings: RatingsFileOption = None,
    genre: GenreOption = None,
    all_genres: AllGenresOption = None,
    not_genre: NotGenreOption = None,
    tag: TagOption = None,
    all_tags: AllTagsOption = None,
    not_tag: NotTagOption = None,
    from_year: FromYearOption = None,
    to_year: ToYearOption = None,
    item: ItemOption = None,
    any_item: AnyItemOption = None,
    only: OnlyOption = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="ITEM", help="Never return this, by id or title.", rich_help_panel=ITEMS),
    ] = None,
    include_rated: Annotated[
        bool,
        typer.Option("--include-rated", help="Items that the user has rated may be returned.", rich_help_panel=ITEMS),
    ] = False,
    k: Annotated[
        int | None,
        typer.Option(
            "--k",
            metavar="N",
            min=1,
            max=1_000,
            show_default="the recipe's own",
            help="How many neighbors to use.",
            rich_help_panel=NEIGHBORS,
        ),
    ] = None,
    min_overlap: Annotated[
        int | None,
        typer.Option(
            "--min-overlap",
            metavar="N",
            min=1,
            max=100,
            show_default="1",
            help="How many of the same items a neighbor must have rated.",
            rich_help_panel=NEIGHBORS,
        ),
    ] = None,
    neighbor: NeighborOption = None,
    any_neighbor: AnyNeighborOption = None,
    active_since: NeighborActiveSinceOption = None,
    min_ratings: NeighborMinRatingsOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    half_life: HalfLifeOption = None,
    recipe: RecipeOption = None,
    overrides: SetOption = None,
    boost: BoostOption = None,
    diversity: DiversityOption = None,
    new_share: NewShareOption = None,
    limit: LimitOption = 10,
    explain: ExplainOption = Explain.SUMMARY,
    without: WithoutOption = None,
    item_view: ViewOption = View.BASIC,
    watch: WatchOption = False,
    timing: TimingOption = False,
    fresh: FreshOption = "",
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Recommends items to a stored user, to what you say you like, or to both together.

    [bold]Examples[/bold]
      kindred recommend --user 7
      kindred recommend --like "toy story" --dislike imdb:tt0120338
      kindred recommend --rating 50=4.5 --rating "fargo (1996)=2"
      kindred recommend --ratings mine.csv --json --data-dir data
      kindred recommend --user 7 --watch
      kindred recommend --user 7 --timing
      kindred recommend --user 7 --genre drama --genre war --not-genre horror --from-year 1980
      kindred recommend --user 7 --neighbor age=20..30 --neighbor "gender!=F" --half-life 90d
      kindred recommend --user 7 --recipe ridge --set fit-penalty=2 --boost genre:Drama=1.5 --diversity 0.3
      kindred recommend --user 7 --limit 1 --explain full --without "toy story"
    """
    if watch and (not user or data_dir is not None):
        raise misused("--watch needs --user and a server: it waits for that user's next ratings")
    if watch and timing:
        raise misused("--timing and --watch exclude each other: one measures a call, the other waits for answers")
    opinions = read_opinions(like, dislike, rating, ratings)
    if not user and not opinions and (recipe is None or recipe in BUILT_IN) and recipe != "popular":
        raise misused("recommend to whom? Give --user, or say what you like: --like, --dislike, --rating, --ratings")
    items, item_origins = item_filter(
        genre=genre,
        all_genres=all_genres,
        not_genre=not_genre,
        tag=tag,
        all_tags=all_tags,
        not_tag=not_tag,
        from_year=from_year,
        to_year=to_year,
        item=item,
        any_item=any_item,
    )
    neighbors, neighbor_origins = user_filter(neighbor, any_neighbor, active_since, min_ratings)
    period, period_origins = rating_period(since, until, half_life)
    boosts, boost_origins = read_boosts(boost)
    request = RecommendRequest(
        user_id=user,
        limit=limit,
        include_rated=include_rated,
        explanation=explain.message,
        item_view=item_view.message,
        at_least_as_fresh=fresh,
        items=items,
        period=period,
        boosts=boosts,
        diversity=diversity,
        new_item_share=new_share,
    )
    if neighbors is not None or k is not None or min_overlap is not None:
        request.neighbors.CopyFrom(NeighborOptions(k=k, min_overlap=min_overlap, filter=neighbors))
    typed = {
        "ratings": [opinion.item for opinion in opinions],
        "exclude_item_ids": [typed_item("--exclude", text) for text in exclude or ()],
        "items.candidate_item_ids": [typed_item("--only", text) for text in only or ()],
        "without_item_ids": [typed_item("--without", text) for text in without or ()],
    }
    numbers = {
        "limit": ("--limit", limit),
        "neighbors.k": ("--k", k),
        "neighbors.min_overlap": ("--min-overlap", min_overlap),
        "diversity": ("--diversity", diversity),
        "new_item_share": ("--new-share", new_share),
        "user_id": ("--user", user or None),
        "at_least_as_fresh": ("--fresh", fresh or None),
    }
    origins: Origins = {
        **{field: [each.origin for each in texts] for field, texts in typed.items()},
        **{field: origin_of(*given) for field, given in numbers.items() if given[1] is not None},
        **under("items", item_origins),
        **under("neighbors.filter", neighbor_origins),
        **under("period", period_origins),
        **boost_origins,
        **set_recipe(request, recipe, overrides),
    }
    with connect(ctx, server, timeout, data_dir) as client:
        chosen = _choose(client, typed)
        _fill(request, opinions, chosen)
        printer = Printer(client, chosen, origins, as_json=as_json, explained=explain is not Explain.NONE)
        if timing:
            response, measured = client.timed_call(client.recommendations.Recommend, request, origins)
            printer.show(response)
            print_timing(measured)
            return
        if not watch:
            printer.show(client.call(client.recommendations.Recommend, request, origins))
            return
        watching = WatchRecommendationsRequest(request=request)
        for answer in client.stream(client.recommendations.WatchRecommendations, watching, origins):
            printer.show(answer.response)
            sys.stdout.flush()
        complain("the server stopped")


def _choose(client: Client, typed: Mapping[str, Sequence[TypedItem]]) -> dict[str, list[Item]]:
    """Finds the items that were typed, all in one call, for each field of the request."""
    found = iter(choose_items(client, [each for texts in typed.values() for each in texts]))
    chosen = {field: [next(found) for _ in texts] for field, texts in typed.items()}
    check_distinct(typed["ratings"], chosen["ratings"])
    return chosen


def _fill(request: RecommendRequest, opinions: Sequence[Opinion], chosen: Mapping[str, Sequence[Item]]) -> None:
    for opinion, item in zip(opinions, chosen["ratings"], strict=True):
        opinion.write_to(request.ratings.add(item_id=item.item_id))
    request.exclude_item_ids.extend(item.item_id for item in chosen["exclude_item_ids"])
    request.without_item_ids.extend(item.item_id for item in chosen["without_item_ids"])
    if chosen["items.candidate_item_ids"]:
        request.items.candidate_item_ids.extend(item.item_id for item in chosen["items.candidate_item_ids"])
