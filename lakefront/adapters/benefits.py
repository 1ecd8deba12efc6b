"""Which benefits a household may be eligible for (C6). Nothing of a household is stored, logged or told in an error."""

from abc import abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from lakefront.adapters.base import Adapter
from lakefront.adapters.dto import Dto
from lakefront.errors import ValidationError


class MemberType(StrEnum):
    """Who somebody is to the head of the household."""

    HEAD_OF_HOUSEHOLD = "HeadOfHousehold"
    CHILD = "Child"
    FOSTER_CHILD = "FosterChild"
    STEP_CHILD = "StepChild"
    GRANDCHILD = "Grandchild"
    SPOUSE = "Spouse"
    PARENT = "Parent"
    FOSTER_PARENT = "FosterParent"
    STEP_PARENT = "StepParent"
    GRANDPARENT = "Grandparent"
    SISTER_BROTHER = "SisterBrother"
    STEP_SISTER_STEP_BROTHER = "StepSisterStepBrother"
    BOYFRIEND_GIRLFRIEND = "BoyfriendGirlfriend"
    DOMESTIC_PARTNER = "DomesticPartner"
    UNRELATED = "Unrelated"
    OTHER = "Other"


class RentalType(StrEnum):
    """What is rented."""

    NYCHA = "NYCHA"
    MARKET_RATE = "MarketRate"
    RENT_CONTROLLED = "RentControlled"
    RENT_REGULATED_HOTEL = "RentRegulatedHotel"
    SECTION_213 = "Section213"
    LIMITED_DIVIDEND_DEVELOPMENT = "LimitedDividendDevelopment"
    MITCHELL_LAMA = "MitchellLama"
    REDEVELOPMENT_COMPANY = "RedevelopmentCompany"
    HDFC = "HDFC"
    FAMILY_HOME = "FamilyHome"
    CONDO = "Condo"


class Frequency(StrEnum):
    """How often an amount comes or goes."""

    WEEKLY = "Weekly"
    BIWEEKLY = "Biweekly"
    SEMIMONTHLY = "Semimonthly"
    MONTHLY = "Monthly"
    YEARLY = "Yearly"


class IncomeType(StrEnum):
    """What an income is."""

    WAGES = "Wages"
    SELF_EMPLOYMENT = "SelfEmployment"
    UNEMPLOYMENT = "Unemployment"
    CASH_ASSISTANCE = "CashAssistance"
    CHILD_SUPPORT = "ChildSupport"
    DISABILITY_MEDICAID = "DisabilityMedicaid"
    SSI = "SSI"
    SS_DEPENDENT = "SSDependent"
    SS_DISABILITY = "SSDisability"
    SS_SURVIVOR = "SSSurvivor"
    SS_RETIREMENT = "SSRetirement"
    NYS_DISABILITY = "NYSDisability"
    VETERAN = "Veteran"
    PENSION = "Pension"
    DEFERRED_COMP = "DeferredComp"
    WORKERS_COMP = "WorkersComp"
    ALIMONY = "Alimony"
    BOARDER = "Boarder"
    GIFTS = "Gifts"
    RENTAL = "Rental"
    INVESTMENT = "Investment"


class ExpenseType(StrEnum):
    """What an expense is for."""

    CHILD_CARE = "ChildCare"
    CHILD_SUPPORT = "ChildSupport"
    DEPENDENT_CARE = "DependentCare"
    RENT = "Rent"
    MEDICAL = "Medical"
    HEATING = "Heating"
    COOLING = "Cooling"
    MORTGAGE = "Mortgage"
    UTILITIES = "Utilities"
    TELEPHONE = "Telephone"
    INSURANCE_PREMIUMS = "InsurancePremiums"


MOST_PERSONS = 8
MOST_ITEMS = 50
"""Incomes, or expenses, of one person."""

Dollars = Annotated[float, Field(ge=0, le=999_999_999.99)]


class _Private(Dto):
    """Whose text tells nothing of it, wherever it may land."""

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []


class Income(_Private):
    """Money that comes in."""

    amount: Dollars
    type: IncomeType
    frequency: Frequency


class Expense(_Private):
    """Money that goes out."""

    amount: Dollars
    type: ExpenseType
    frequency: Frequency


class Person(_Private):
    """Somebody of the household."""

    age: Annotated[int, Field(ge=0, le=150)]
    member_type: MemberType
    student: bool = False
    student_fulltime: bool = False
    pregnant: bool = False
    unemployed: bool = False
    unemployed_worked_last_18_months: bool = False
    blind: bool = False
    disabled: bool = False
    veteran: bool = False
    benefits_medicaid: bool = False
    benefits_medicaid_disability: bool = False
    living_owner_on_deed: bool = False
    living_rental_on_lease: bool = False
    incomes: Annotated[Sequence[Income], Field(max_length=MOST_ITEMS)] = ()
    expenses: Annotated[Sequence[Expense], Field(max_length=MOST_ITEMS)] = ()


class Household(_Private):
    """A household as it is screened."""

    persons: Annotated[Sequence[Person], Field(min_length=1, max_length=MOST_PERSONS)]
    cash_on_hand: Dollars = 0.0
    renting: bool = False
    rental_type: RentalType | None = None
    owner: bool = False
    staying_with_friend: bool = False
    hotel: bool = False
    shelter: bool = False
    prefer_not_to_say: bool = False


class BenefitEligibility(Dto):
    """A programme that the household may be eligible for."""

    code: str
    """The provider's: S2R007."""
    name: str
    source: str
    """The provider."""


def check_household(household: Household) -> None:
    """Pass if it is whole; raises ``ValidationError`` with the fields to correct, and none of their values."""
    heads = sum(person.member_type is MemberType.HEAD_OF_HOUSEHOLD for person in household.persons)
    if heads != 1:
        raise _wrong("household.persons", "One person, and only one, is the head of the household.")
    if household.rental_type is not None and not household.renting:
        raise _wrong("household.rentalType", "Say what is rented only where renting is true.")


def _wrong(field: str, message: str) -> ValidationError:
    return ValidationError(message, details=[{"field": field, "message": message}])


class BenefitScreener(Adapter):
    """An adapter that screens households. Its logs tell no code of an answer, which might be of what was sent."""

    @abstractmethod
    async def screen(self, household: Household, *, trace_id: str = "") -> list[BenefitEligibility]:
        """What it may be eligible for; raises as ``Calls.call`` does, ``ValidationError`` for none that is whole."""
