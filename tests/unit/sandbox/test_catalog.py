"""The catalogue is small, consistent and worth browsing."""

from worker.sandbox.catalog import CATEGORIES, PRODUCTS, best_sellers, of_category


def test_every_product_has_an_id_of_its_own() -> None:
    assert len({product.id for product in PRODUCTS}) == len(PRODUCTS)


def test_every_category_has_products_and_every_product_a_category() -> None:
    assert {product.category for product in PRODUCTS} == set(CATEGORIES)


def test_a_category_shows_only_its_own_products() -> None:
    assert [product.id for product in of_category("headphone")] == ["hp-still-900", "hp-bud-2"]


def test_best_sellers_are_the_best_rated_of_three_categories() -> None:
    chosen = best_sellers()
    assert len({product.category for product in chosen}) == 3
    for product in chosen:
        assert product.rating == max(one.rating for one in of_category(product.category))


def test_a_price_is_written_as_in_the_documents() -> None:
    assert next(one for one in PRODUCTS if one.id == "mw-em044kb19").price_tag == "$342.99"
