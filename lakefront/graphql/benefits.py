"""Benefits that a household may be eligible for, as its city says (C6)."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import BENEFITS_SCREEN
from lakefront.adapters.benefits import BenefitEligibility as Found
from lakefront.adapters.benefits import ExpenseType, Frequency, IncomeType, MemberType, RentalType
from lakefront.domain import benefits as domain
from lakefront.graphql import weights
from lakefront.graphql.by_variable import only_by_variable
from lakefront.graphql.context import Info
from lakefront.graphql.declare import described
from lakefront.graphql.fields import attribute, field, given
from lakefront.graphql.outside import Provenance

described(
    MemberType,
    "Who somebody is to the head of the household.",
    {
        MemberType.HEAD_OF_HOUSEHOLD: "The head: one, and only one, has to be.",
        MemberType.CHILD: "A child.",
        MemberType.FOSTER_CHILD: "A foster child.",
        MemberType.STEP_CHILD: "A stepchild.",
        MemberType.GRANDCHILD: "A grandchild.",
        MemberType.SPOUSE: "Husband or wife.",
        MemberType.PARENT: "A parent.",
        MemberType.FOSTER_PARENT: "A foster parent.",
        MemberType.STEP_PARENT: "A step-parent.",
        MemberType.GRANDPARENT: "A grandparent.",
        MemberType.SISTER_BROTHER: "A sister or brother.",
        MemberType.STEP_SISTER_STEP_BROTHER: "A stepsister or stepbrother.",
        MemberType.BOYFRIEND_GIRLFRIEND: "Boyfriend or girlfriend.",
        MemberType.DOMESTIC_PARTNER: "A domestic partner.",
        MemberType.UNRELATED: "No relative.",
        MemberType.OTHER: "Another relative.",
    },
    name="HouseholdMemberType",
)
described(
    RentalType,
    "What is rented.",
    {
        RentalType.NYCHA: "Public housing of the New York City Housing Authority.",
        RentalType.MARKET_RATE: "At the market's rate.",
        RentalType.RENT_CONTROLLED: "Under rent control.",
        RentalType.RENT_REGULATED_HOTEL: "In a hotel with regulated rents.",
        RentalType.SECTION_213: "A cooperative by section 213.",
        RentalType.LIMITED_DIVIDEND_DEVELOPMENT: "Of a limited-dividend company.",
        RentalType.MITCHELL_LAMA: "By the Mitchell-Lama programme.",
        RentalType.REDEVELOPMENT_COMPANY: "Of a redevelopment company.",
        RentalType.HDFC: "Of a Housing Development Fund Corporation.",
        RentalType.FAMILY_HOME: "A family's home.",
        RentalType.CONDO: "A condominium.",
    },
)
described(
    Frequency,
    "How often an amount comes or goes.",
    {
        Frequency.WEEKLY: "Each week.",
        Frequency.BIWEEKLY: "Every two weeks.",
        Frequency.SEMIMONTHLY: "Twice a month.",
        Frequency.MONTHLY: "Each month.",
        Frequency.YEARLY: "Each year.",
    },
    name="AmountFrequency",
)
described(
    IncomeType,
    "What an income is.",
    {
        IncomeType.WAGES: "Wages, salaries, tips.",
        IncomeType.SELF_EMPLOYMENT: "From one's own business.",
        IncomeType.UNEMPLOYMENT: "Unemployment benefits.",
        IncomeType.CASH_ASSISTANCE: "Cash assistance.",
        IncomeType.CHILD_SUPPORT: "Child support that is received.",
        IncomeType.DISABILITY_MEDICAID: "Disability Medicaid.",
        IncomeType.SSI: "Supplemental Security Income.",
        IncomeType.SS_DEPENDENT: "Social Security dependent's benefits.",
        IncomeType.SS_DISABILITY: "Social Security disability benefits.",
        IncomeType.SS_SURVIVOR: "Social Security survivor's benefits.",
        IncomeType.SS_RETIREMENT: "Social Security retirement benefits.",
        IncomeType.NYS_DISABILITY: "New York State disability benefits.",
        IncomeType.VETERAN: "Veteran's pension or benefits.",
        IncomeType.PENSION: "A pension of the government or of an employer.",
        IncomeType.DEFERRED_COMP: "Withdrawals of deferred compensation.",
        IncomeType.WORKERS_COMP: "Workers' compensation.",
        IncomeType.ALIMONY: "Alimony that is received.",
        IncomeType.BOARDER: "From boarders or lodgers.",
        IncomeType.GIFTS: "Gifts and contributions.",
        IncomeType.RENTAL: "Rents that are received.",
        IncomeType.INVESTMENT: "Interest, dividends and other gains.",
    },
    name="HouseholdIncomeType",
)
described(
    ExpenseType,
    "What an expense is for.",
    {
        ExpenseType.CHILD_CARE: "Care of children.",
        ExpenseType.CHILD_SUPPORT: "Child support that is paid.",
        ExpenseType.DEPENDENT_CARE: "Care of other dependents.",
        ExpenseType.RENT: "Rent.",
        ExpenseType.MEDICAL: "Medical care.",
        ExpenseType.HEATING: "Heating.",
        ExpenseType.COOLING: "Cooling.",
        ExpenseType.MORTGAGE: "A mortgage.",
        ExpenseType.UTILITIES: "Utilities.",
        ExpenseType.TELEPHONE: "Telephone.",
        ExpenseType.INSURANCE_PREMIUMS: "Insurance.",
    },
    name="HouseholdExpenseType",
)

_AMOUNT = "Dollars, 0 to 999,999,999.99; cents are rounded."


def _flag(description: str) -> Any:
    """Whether something is so; it is not unless it is said."""
    return strawberry.field(default=False, description=description)


def _untold(it: object) -> str:
    """What a repr tells of an input of a household: nothing."""
    return f"{type(it).__name__}()"


@strawberry.input(description="Money that comes into the household.")
class HouseholdIncomeInput:
    """An income."""

    amount: float = strawberry.field(description=_AMOUNT)
    type: IncomeType = strawberry.field(description="What it is.")
    frequency: Frequency = strawberry.field(description="How often it comes.")

    __repr__ = _untold


@strawberry.input(description="Money that the household spends.")
class HouseholdExpenseInput:
    """An expense."""

    amount: float = strawberry.field(description=_AMOUNT)
    type: ExpenseType = strawberry.field(description="What it is for.")
    frequency: Frequency = strawberry.field(description="How often it goes.")

    __repr__ = _untold


@strawberry.input(description="Somebody of the household.")
class HouseholdPersonInput:
    """A person."""

    age: int = strawberry.field(description="Whole years, 0 to 150.")
    member_type: MemberType = strawberry.field(description="Who it is to the head of the household.")
    student: bool = _flag("Whether it studies.")
    student_fulltime: bool = _flag("Whether it studies full time.")
    pregnant: bool = _flag("Whether it is pregnant.")
    unemployed: bool = _flag("Whether it is unemployed.")
    unemployed_worked_last_18_months: bool = _flag("Whether it worked in the last 18 months, being unemployed.")
    blind: bool = _flag("Whether it is blind or cannot see well.")
    disabled: bool = _flag("Whether it has a disability.")
    veteran: bool = _flag("Whether it served in the military.")
    benefits_medicaid: bool = _flag("Whether it receives Medicaid.")
    benefits_medicaid_disability: bool = _flag("Whether it receives Medicaid for a disability.")
    living_owner_on_deed: bool = _flag("Whether its name is on the deed.")
    living_rental_on_lease: bool = _flag("Whether its name is on the lease.")
    incomes: list[HouseholdIncomeInput] = strawberry.field(default_factory=list, description="At most 50.")
    expenses: list[HouseholdExpenseInput] = strawberry.field(default_factory=list, description="At most 50.")

    __repr__ = _untold


@strawberry.input(
    description="A household. It is given by a variable alone, as documents are kept. Nothing of it is stored."
)
class HouseholdInput:
    """A household."""

    persons: list[HouseholdPersonInput] = strawberry.field(description="1 to 8; one of them is the head.")
    cash_on_hand: float = strawberry.field(default=0.0, description=f"Cash and savings. {_AMOUNT}")
    renting: bool = _flag("Whether it rents.")
    rental_type: RentalType | None = strawberry.field(default=None, description="What it rents, where it does.")
    owner: bool = _flag("Whether it owns its home.")
    staying_with_friend: bool = _flag("Whether it stays with friends or family.")
    hotel: bool = _flag("Whether it lives in a hotel.")
    shelter: bool = _flag("Whether it lives in a shelter.")
    prefer_not_to_say: bool = _flag("Whether it prefers not to say how it lives.")

    __repr__ = _untold


@strawberry.type(description="A programme that a household may be eligible for; who decides that is its agency.")
class BenefitEligibility:
    """One programme."""

    code: str = attribute("The programme's code, as the city has it: S2R007.")
    name: str = attribute("What it is called.")
    provenance: Provenance = attribute("Who told it, and when.")

    @classmethod
    def of(cls, found: Found, as_of: datetime) -> Self:
        """The domain's programme."""
        return cls(
            code=found.code,
            name=found.name,
            provenance=Provenance(source=found.source, as_of=as_of, stale=False),
        )


@strawberry.type
class Query:
    """What can be asked about benefits."""

    @field(
        "What a household may be eligible for, as its city's screening says. Null beside an error at its path.",
        requires=BENEFITS_SCREEN,
        limit="60/minute",
        weight=weights.OUTSIDE,
        size=50,
    )
    async def benefit_eligibility(
        self,
        info: Info,
        household: Annotated[HouseholdInput, strawberry.argument(description="The household, by a variable.")],
        city: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The city, by its slug. Left out: the one that screens, if just one does."),
        ] = UNSET,
    ) -> list[BenefitEligibility] | None:
        """The one use-case; nullable, so that its failure leaves the rest (X3)."""
        only_by_variable(info, "household", "A household")
        context, slug = info.context, given(city)
        asked = domain.household_of(_plain(household))
        where = None if slug is None else str(slug)
        screening = await domain.screen(context.services, context.actor, asked, where, trace_id=context.trace_id)
        return [BenefitEligibility.of(found, screening.as_of) for found in screening.programmes]


def _plain(value: Any) -> Any:
    """An input's values by their names."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, Enum) else value
