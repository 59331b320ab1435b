"""Bank account numbers (ISO 13616): made for the demo, with check digits that are right."""

from countersign.demo import dice

# Length of the part after country and check digits; countries whose part is digits only.
_DIGITS = {
    "AT": 16,
    "BE": 12,
    "CZ": 20,
    "DE": 18,
    "DK": 14,
    "ES": 20,
    "FI": 14,
    "FR": 23,
    "IT": 23,
    "NL": 14,
    "PL": 24,
    "PT": 21,
    "SE": 20,
}
# A letter opens an Italian number; a Dutch one opens with the bank's four letters.
_PREFIX = {"IT": "X", "NL": "DEMO"}


def _remainder(iban: str) -> int:
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97


def make(country: str, *key: object) -> str:
    """An account number of `country` with valid check digits; the same for the same key."""
    prefix = _PREFIX.get(country, "")
    length = _DIGITS[country] - len(prefix)
    digits = "".join(str(dice.number(0, 9, "iban", country, *key, n)) for n in range(length))
    body = prefix + digits
    check = 98 - _remainder(f"{country}00{body}")
    return f"{country}{check:02d}{body}"


def valid(iban: str) -> bool:
    """Whether the check digits fit."""
    return iban.isascii() and iban.isalnum() and len(iban) > 4 and _remainder(iban) == 1
