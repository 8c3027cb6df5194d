"""The agent behind the sandbox: a shop assistant who always says the same to the same words."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from worker.sandbox.catalog import CATEGORIES, Product, best_sellers, of_category

WELCOME = "Hi! I'm here to help you find the perfect product. What are you looking for today?"
"""The greeting of a new task (seed 003)."""

STARTERS = (
    "Show me your best sellers",
    "I need help choosing a product",
    "What's on sale right now?",
)
"""The conversation starters of a new task (seed 003)."""

_QUESTIONS = (
    "What is the price range?",
    "Do any of these come in stainless steel?",
    "Which one has the best energy rating?",
    "Which is the cheapest one?",
    "Which one do customers like best?",
    "How soon can you deliver?",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent says: text, the products it shows (recommended first), three follow-ups.

    It is also all the agent remembers of a conversation: the next answer starts from it.
    """

    text: str
    products: tuple[Product, ...]
    suggestions: tuple[str, ...]


def answer(text: str, previous: Answer | None) -> Answer:
    """The agent's answer to a user's words, given its previous answer in the conversation.

    It shows at least one product and exactly three follow-up suggestions.
    """
    words = text.lower()
    for category, named in CATEGORIES.items():
        if named.search(words):
            return _search(category, words)
    if previous is not None:
        for cue, reply in _FOLLOW_UPS:
            if cue.search(words):
                return reply(previous.products)
    return _small_talk(words)


def topic_of(given: Answer) -> str:
    """A title for a conversation with this answer in it, for example `Microwave Search`."""
    categories = {product.category for product in given.products}
    return f"{categories.pop().title()} Search" if len(categories) == 1 else "Product Search"


def _small_talk(words: str) -> Answer:
    favourites = best_sellers()
    if re.search(r"\b(thanks?|thank you|bye)\b", words):
        return _answer("You're welcome! Here is what other customers love:", favourites)
    names = _listed(favourites)
    if re.search(r"\b(sale|deals?|discount|best.?sellers?|popular)\b", words):
        return _answer(
            f"Our best sellers right now are {names}. They are all in stock.", favourites
        )
    return _answer(
        "I can help you with microwaves, fridges, coffee machines, vacuum cleaners and "
        f"headphones. Not sure where to start? Customers love {names}.",
        favourites,
    )


def _search(category: str, words: str) -> Answer:
    wanted, found = _filtered(of_category(category), words)
    if not found:
        closest = of_category(category)[:3]
        return _answer(
            f"I found no {wanted}{category} like that, I'm afraid. These come closest:", closest
        )
    if re.search(r"\bcheap|budget|affordable", words):
        found = tuple(sorted(found, key=lambda product: product.price))
    litres = _wished_litres(words)
    capacity = f" with {litres}+ liters capacity" if litres else ""
    count = "several" if len(found) > 1 else "one"
    plural, options = ("s", "are the top options") if len(found) > 1 else ("", "is the top option")
    best = found[0]
    return _answer(
        f"I found {count} {wanted}{category}{plural}{capacity}. Here {options} for you: "
        f"the {best.name} costs {best.price_tag} and {best.note}. "
        f"Customers rate it {best.rating} out of 5.",
        found[:3],
    )


def _filtered(products: tuple[Product, ...], words: str) -> tuple[str, tuple[Product, ...]]:
    budget, litres = _wished_price(words), _wished_litres(words)
    built_in = re.search(r"built.?in", words) is not None
    steel = re.search(r"\bsteel\b", words) is not None
    found = tuple(
        product
        for product in products
        if product.price <= budget
        and product.litres >= litres
        and (product.built_in or not built_in)
        and (product.steel or not steel)
    )
    return "built-in " * built_in + "stainless steel " * steel, found


def _wished_litres(words: str) -> int:
    match = re.search(r"(\d{1,4})\+?\s*(?:l|liters?|litres?)\b", words)
    return int(match[1]) if match else 0


def _wished_price(words: str) -> float:
    match = re.search(r"(?:under|below|less than|up to|max)\s*\$?\s*(\d{1,6})(?!\d)", words)
    # "up to 30 liters" is a volume, not a budget.
    return float(match[1]) if match and not _wished_litres(words) else float("inf")


def _cheapest(products: tuple[Product, ...]) -> Answer:
    first, *others = sorted(products, key=lambda product: product.price)
    saved = f", ${others[0].price - first.price:,.2f} less than the {others[0].name}"
    return _answer(
        f"The cheapest of these is the {first.name} at {first.price_tag}{saved if others else ''}.",
        (first, *others),
    )


def _price_range(products: tuple[Product, ...]) -> Answer:
    ordered = sorted(products, key=lambda product: product.price)
    return _answer(
        f"They range from {ordered[0].price_tag} for the {ordered[0].name} "
        f"to {ordered[-1].price_tag} for the {ordered[-1].name}.",
        tuple(ordered),
    )


def _in_steel(products: tuple[Product, ...]) -> Answer:
    steel = tuple(product for product in products if product.steel)
    if steel:
        return _answer(f"Yes, in brushed stainless steel: {_listed(steel)}.", steel)
    return _answer("None of these comes in stainless steel, only in black or white.", products)


def _best_energy(products: tuple[Product, ...]) -> Answer:
    first, *others = sorted(products, key=lambda product: product.energy)
    text = f"The {first.name} has the best energy rating of these: class {first.energy}."
    return _answer(text, (first, *others))


def _best_rated(products: tuple[Product, ...]) -> Answer:
    first, *others = sorted(products, key=lambda product: -product.rating)
    return _answer(
        f"Customers like the {first.name} best: {first.rating} out of 5. It {first.note}.",
        (first, *others),
    )


def _into_cart(products: tuple[Product, ...]) -> Answer:
    first = products[0]
    return _answer(
        f"Done: the {first.name} is in your cart, {first.price_tag} in all. "
        "Would you like to see anything else?",
        products,
    )


def _delivery(products: tuple[Product, ...]) -> Answer:
    return _answer(
        f"The {products[0].name} is in stock: order today and it is with you in two days, "
        "with free returns for a month and a two-year warranty.",
        products,
    )


def _more(products: tuple[Product, ...]) -> Answer:
    first = products[0]
    return _answer(
        f"The {first.name} costs {first.price_tag} and {first.note}. It is rated "
        f"{first.rating} out of 5 and its energy class is {first.energy}.",
        products,
    )


_FOLLOW_UPS: tuple[tuple[re.Pattern[str], Callable[[tuple[Product, ...]], Answer]], ...] = (
    (re.compile(r"\bprices?\b.*\brange|\brange\b.*\bprices?"), _price_range),
    (re.compile(r"\b(cheap|budget|affordable|least expensive|price|cost)"), _cheapest),
    (re.compile(r"\b(steel|silver|colou?r)"), _in_steel),
    (re.compile(r"\b(energy|efficient|electricity|power)\b"), _best_energy),
    (re.compile(r"\b(rated|ratings?|best one|like best|popular|recommend)"), _best_rated),
    (re.compile(r"\b(cart|buy|order|take (it|that|this))\b"), _into_cart),
    (re.compile(r"\b(deliver|shipping|warranty|return|in stock)"), _delivery),
    (re.compile(r"\b(it|this|that|them|these|one|more|why|how|which|any)\b"), _more),
)


def _answer(text: str, products: tuple[Product, ...]) -> Answer:
    # A suggestion the answer itself has just dealt with would be a poor one.
    spoken = text.lower()
    fresh = [one for one in _QUESTIONS if not _dealt_with(one, spoken)]
    return Answer(text, products, tuple(fresh[:3]))


def _dealt_with(question: str, spoken: str) -> bool:
    cues = {
        "range": "they range",
        "steel": "steel",
        "energy": "energy",
        "cheapest": "cheapest",
        "like best": "like the",
        "deliver": "two days",
    }
    return any(cue in question.lower() and said in spoken for cue, said in cues.items())


def _listed(products: tuple[Product, ...]) -> str:
    names = [f"the {product.name}" for product in products]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
