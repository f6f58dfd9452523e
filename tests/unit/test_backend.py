from pathlib import Path

from tests.support.community import build_community, opened


async def test_popular_items_have_the_first_rows(tmp_path: Path) -> None:
    """Whatever order the store gives items in, those that most have rated lie together in the arrays by row."""
    build_community(tmp_path, {"1": {"40": 5.0}, "2": {"40": 4.0, "7": 3.0}, "3": {"40": 1.0, "7": 5.0, "9": 2.0}})
    async with opened(tmp_path) as backend:
        catalog = backend.catalog
        assert [catalog.item(row).item_id for row in range(catalog.rows)] == ["40", "7", "9"]
        assert catalog.counts.rated.tolist() == [3, 2, 1]
