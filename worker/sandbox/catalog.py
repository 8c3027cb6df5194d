"""What the sandbox's shop sells: a small fixed catalogue, the same on every run."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """One thing on sale; `price` is in US dollars, `litres` is 0 where a volume says nothing."""

    id: str
    category: str
    name: str
    price: float
    rating: float
    energy: str
    note: str
    litres: int = 0
    steel: bool = False
    built_in: bool = False

    @property
    def price_tag(self) -> str:
        """The price as AUI writes it, for example `$342.99`."""
        return f"${self.price:,.2f}"


CATEGORIES: dict[str, re.Pattern[str]] = {
    "microwave": re.compile(r"\bmicro-?waves?\b"),
    "fridge": re.compile(r"\b(fridges?|refrigerators?|freezers?)\b"),
    "coffee machine": re.compile(r"\b(coffee|espresso|cappuccino)\b"),
    "vacuum cleaner": re.compile(r"\b(vacuums?|hoovers?)\b"),
    "headphone": re.compile(r"\b(headphones?|headsets?|earbuds?)\b"),
}
"""Each category with the words that name it, in lower case."""

PRODUCTS: tuple[Product, ...] = (
    Product(
        id="mw-em044kb19",
        category="microwave",
        name="BLACK+DECKER EM044KB19 Over The Range Microwave Oven",
        price=342.99,
        rating=4.4,
        energy="B",
        note="cooks with 1000 watts and vents 400 cubic feet a minute",
        litres=54,
        steel=True,
        built_in=True,
    ),
    Product(
        id="mw-nordvik-25",
        category="microwave",
        name="Nordvik Inset 25 Built-in Microwave",
        price=279.0,
        rating=4.6,
        energy="A",
        note="slides into a standard 60 cm column and comes with its mounting kit",
        litres=25,
        steel=True,
        built_in=True,
    ),
    Product(
        id="mw-halden-28",
        category="microwave",
        name="Halden Combi 28 Built-in Microwave with Convection",
        price=419.5,
        rating=4.7,
        energy="A",
        note="adds convection and a grill, so it bakes as well",
        litres=28,
        built_in=True,
    ),
    Product(
        id="mw-pico-17",
        category="microwave",
        name="Pico 17 Countertop Microwave",
        price=89.99,
        rating=4.1,
        energy="C",
        note="fits under most shelves and has exactly two knobs",
        litres=17,
    ),
    Product(
        id="fr-fjord-330",
        category="fridge",
        name="Fjord 330 Fridge Freezer",
        price=649.0,
        rating=4.5,
        energy="B",
        note="never needs defrosting and hums at 35 decibels",
        litres=330,
        steel=True,
    ),
    Product(
        id="fr-larder-140",
        category="fridge",
        name="Larder 140 Built-in Fridge",
        price=389.0,
        rating=4.2,
        energy="C",
        note="hides behind a kitchen door",
        litres=140,
        built_in=True,
    ),
    Product(
        id="cm-crema-s",
        category="coffee machine",
        name="Crema S Espresso Machine",
        price=199.0,
        rating=4.3,
        energy="A",
        note="is ready in 25 seconds and steams milk properly",
        steel=True,
    ),
    Product(
        id="cm-barista-duo",
        category="coffee machine",
        name="Barista Duo Bean-to-Cup Coffee Machine",
        price=749.0,
        rating=4.8,
        energy="B",
        note="grinds fresh beans and pours two cups at once",
    ),
    Product(
        id="vc-loop-x",
        category="vacuum cleaner",
        name="Loop X Cordless Vacuum",
        price=329.0,
        rating=4.4,
        energy="A",
        note="runs for an hour on one charge",
    ),
    Product(
        id="vc-dusty-700",
        category="vacuum cleaner",
        name="Dusty 700 Canister Vacuum",
        price=119.0,
        rating=4.0,
        energy="B",
        note="reaches ten metres without changing the socket",
    ),
    Product(
        id="hp-still-900",
        category="headphone",
        name="Still 900 Noise-cancelling Headphones",
        price=249.0,
        rating=4.7,
        energy="A",
        note="keeps a cabin quiet for thirty hours",
    ),
    Product(
        id="hp-bud-2",
        category="headphone",
        name="Bud 2 Wireless Earbuds",
        price=59.9,
        rating=4.2,
        energy="A",
        note="weighs four grams an ear",
    ),
)
"""Everything on sale, the shop's favourites first within a category."""


def of_category(category: str) -> tuple[Product, ...]:
    """The products of one category, in catalogue order."""
    return tuple(product for product in PRODUCTS if product.category == category)


def best_sellers() -> tuple[Product, ...]:
    """The best rated product of each of three categories."""
    favourites = (max(of_category(name), key=lambda one: one.rating) for name in CATEGORIES)
    return tuple(favourites)[:3]
