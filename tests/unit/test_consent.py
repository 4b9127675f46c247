"""Consent as a table: which names of columns say who may be asked, and what their values mean."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.model.consent import Consent, consent_of, looks_like_consent, says_opted_out, stricter

LOOK_ALIKES = """
is_subscribed isSubscribed issubscribed IsSubscribed newsletter_subscribed subscribed_newsletter un_subscribed
unsubscribed Unsubscribed UNSUBSCRIBE isUnsubscribed unsubscribe_requested unsubscribed_flag
opt_in opt-out OptOut optout OPTIN emailOptIn emailoptin double_opt_in optInStatus optin_status opted opted_in
hasOptedOutOfEmail has_opted_out OPTEDOUT do_not_email do-not-mail DoNotCall donotcontact do_not_send dont_email
consent marketing_consent consentGiven gdprConsent marketingconsent consent_date GDPR gdpr_ok
optinflag emailoptinflag hasoptedinemail smsoptinstatus unsubscribeall EMAILOPT_OUT customeropt_in smsopt-in oPt_oUt
DoNotBulkEMail donotbulkemail do_not_auto_call DoNotPhone acceptsMarketing accepts_email_marketing emailBlacklisted unsub
suppressed isSuppressed email_suppressed blocklisted is_blocklisted mailable unmailable
""".split()
WITH_BLANKS = [
    "Do Not Email",
    "Do not e-mail",
    "don't call",
    "Opt In",
    "opt.out",
    "Is Subscribed",
    "subscribed?",
]

INNOCENT = """
subscription_plan subscription_id subscriber_since subscribers subscribed_at subscribedAt SUBSCRIBED_AT subscribedat
subscribed_on subscribed_date subscribed_time subscribed_since subscribed_id subscribed_url subscribed_link subscribedPlan
subscribedPlanName subscribed_source unsubscribed_at unsubscribedOn unsubscribe_url unsubscribeLink unsubscribe_link
option options optional adoption adopted adopting optimum optics coption laptop_in_stock contents contentment consensus
oversubscribed over_subscribed co_opted beaconSent beaconSentAt iconSent FalconSent shopTIN emailAbleton adopted_in
unsubscribers unsubscribeurl mailing_address email mailbox call_center callback contact send_date plan status
state do_not_bend
top_tint
""".split()


@pytest.mark.parametrize("name", [*LOOK_ALIKES, *WITH_BLANKS])
def test_looks_like_consent(name: str) -> None:
    """A name that tells who may be asked, however it is written, is one that somebody must explain."""
    assert looks_like_consent(name)


@pytest.mark.parametrize("name", INNOCENT)
def test_is_none(name: str) -> None:
    """A name that only shares letters with consent, or says when and where it was given, stops nobody."""
    assert not looks_like_consent(name)


@given(
    st.sampled_from(["subscribed", "opt out", "opt in", "do not email", "consent given", "is unsubscribed"]),
    st.sampled_from(["_", "-", " ", ".", "  "]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["", " ", "\t", "\u200b", "\ufeff", "\u00a0"]),
    st.randoms(use_true_random=False),
)
def test_any_spelling(words: str, separator: str, case: Any, around: str, dice: random.Random) -> None:
    """Case, separators, and what stands around a name or cannot be seen, hide nothing."""
    name = case(words).replace(" ", separator)
    mixed = "".join(dice.choice((c.lower(), c.upper())) for c in name)

    assert looks_like_consent(f"{around}{name}{around}")
    assert looks_like_consent(f"{around}{mixed}")


@pytest.mark.parametrize(
    ("consent", "values"),
    [
        (Consent.SUBSCRIBED, [True, 1, 1.0, Decimal(1), "true", "1", "yes", "y", "t", b"\1", "1.0"]),
        (Consent.NOT_SUBSCRIBED, [False, 0, 0.0, Decimal(0), "false", "0", "no", "n", "f", b"\0"]),
        (
            Consent.NO_ANSWER,
            [None, "", " " * 30, "\u200b", b"", "null", "None", "NaN", float("nan"), Decimal("NaN")],
        ),
    ],
)
def test_values(consent: Consent, values: list[object]) -> None:
    """What people, SQL and JSON call yes and no, in any case and with blanks around it."""
    spelled = [
        form
        for v in values
        for form in ([v.upper(), v.title(), f" {v}\t\u200b" + " " * 30] if isinstance(v, str) else [])
    ]
    assert {consent} == {consent_of(value) for value in [*values, *spelled]}


@given(st.text(max_size=12) | st.integers() | st.floats() | st.binary(max_size=3) | st.lists(st.booleans()))
def test_any_value(value: Any) -> None:
    """A value is an answer or refused; an opposite column turns yes and no around, and leaves silence as it is."""
    try:
        found = consent_of(value)
    except ValueError:
        with pytest.raises(ValueError, match="neither"):
            consent_of(value, opposite=True)
        return
    turned = {Consent.SUBSCRIBED: Consent.NOT_SUBSCRIBED, Consent.NOT_SUBSCRIBED: Consent.SUBSCRIBED}
    assert consent_of(value, opposite=True) is turned.get(found, Consent.NO_ANSWER)


@pytest.mark.parametrize(
    "value",
    ["maybe", "2", -1, 1.5, "unsubscribed", "oui", [], {}, [True], object(), "x" * 999, Decimal("sNaN")],
)
def test_no_answer_at_all(value: object) -> None:
    """Whatever is neither yes nor no nor empty is not guessed at."""
    with pytest.raises(ValueError, match="neither"):
        consent_of(value)


@given(st.sampled_from(Consent), st.sampled_from(Consent))
def test_stricter(first: Consent, second: Consent) -> None:
    """Of two words the one counts that keeps more people from being asked."""
    both = stricter(first, second)
    assert both in (first, second)
    assert both.is_subscribed == (first.is_subscribed and second.is_subscribed)


def test_status() -> None:
    """The word in a status column that says that somebody left."""
    assert [True] * 5 == [
        says_opted_out(w) for w in ("unsubscribed", "Opted out", "OPT_OUT", "Do not contact", "suppressed")
    ]
    assert [False] * 5 == [
        says_opted_out(w) for w in ("subscribed", "active", "", 3, "unsubscribed users only")
    ]
