"""Effective rights: hard cases one by one, then random policies against a naive reading of the same rules."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import Gap, Reason
from checks.aws.patterns import ANY, covers, meets
from checks.aws.rights import Rights, read
from tests.aws.identities import BY_AWS, IAM, account, allow, deny, derived, doc, role, trust, user

PRINCIPALS = "aws.access.principals"
ROOT = f"{IAM}root"
BOSS = f"{IAM}role/boss"
ADMIN = doc(allow("*"))
POWER = doc({"NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"})
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def how(*identities: Any, of: str = "user/ada", **more: Any) -> list[str]:
    """By which rights one of these identities is administrator."""
    return list(derived(PRINCIPALS, account(*identities, **more))[f"{IAM}{of}"]["admin"]["how"])


def boss(**more: Any) -> dict[str, Any]:
    """A role that is administrator, which the account's own policies may let be taken."""
    return role("boss", allow("*"), **{"trust": trust(ROOT), **more})


OWN = f"{IAM}user/${{aws:username}}"
SELF = allow("iam:CreateAccessKey", on=OWN)
BUT_S3 = {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}
TO_X = {"StringEquals": {"iam:PassedToService": "x"}}
PASS = allow("iam:PassRole")


@pytest.mark.parametrize(
    ("statements", "held"),
    [
        pytest.param([allow("*")], "full", id="all"),
        pytest.param([allow("*", on=["arn:aws:*"])], "full", id="all, as an ARN"),
        pytest.param([{"NotAction": "s3:DeleteBucket", "Resource": "*"}], "full", id="NotAction"),
        pytest.param([{"Action": "*", "NotResource": "arn:aws:s3:::a"}], "full", id="NotResource"),
        pytest.param([allow("*", Condition=MFA)], "full", id="a condition narrows nothing"),
        pytest.param([allow("*"), deny("*")], "", id="denied again"),
        pytest.param([allow("*"), deny("*", Condition=MFA)], "full", id="denied on a condition"),
        pytest.param([allow("*"), deny("iam:*", "sts:*")], "", id="all but IAM"),
        pytest.param([allow("*"), BUT_S3], "", id="Deny NotAction"),
        pytest.param([POWER["Statement"][0]], "", id="power user"),
        pytest.param([POWER["Statement"][0], PASS], "iam:PassRole on any role", id="power user who passes roles"),
        pytest.param([allow("iam:*")], "iam:*", id="all of IAM"),
        pytest.param([allow("IAM:createpolicyVERSION")], "iam:CreatePolicyVersion", id="case of an action"),
        pytest.param([allow("iam:CreatePolicyVersio?")], "iam:CreatePolicyVersion", id="one character"),
        pytest.param([allow("iam:[C]reatePolicyVersion")], "", id="brackets mean nothing"),
        pytest.param([allow("iam:Get*", "iam:List*")], "", id="reading IAM"),
        pytest.param([allow("iam:AttachUserPolicy", on=f"{IAM}user/*")], "iam:AttachUserPolicy", id="users"),
        pytest.param([allow("iam:AttachUserPolicy", on=f"{IAM}role/*")], "", id="a user's right on roles"),
        pytest.param([allow("iam:AttachUserPolicy", on="arn:aws:iam::999999999999:user/*")], "", id="another account"),
        pytest.param([allow("iam:PutRolePolicy"), deny("iam:Put*", on=f"{IAM}role/*")], "", id="denied for roles"),
        pytest.param([allow("iam:PutRolePolicy"), deny("iam:Put*", on=f"{IAM}role/a*")], "iam:Put", id="for some"),
        pytest.param([SELF], "", id="own keys"),
        pytest.param([allow("iam:CreateAccessKey", on=f"{IAM}user/ada")], "", id="own keys by name"),
        pytest.param([allow("iam:CreateAccessKey", on=f"{IAM}user/bob")], "iam:CreateAccessKey", id="another's keys"),
        pytest.param([allow("iam:CreateAccessKey", on=f"{IAM}user/a*")], "iam:CreateAccessKey", id="several's keys"),
        pytest.param([allow("iam:PutUserPolicy", on=OWN)], "iam:PutUserPolicy", id="own policy"),
        pytest.param([allow("iam:CreateAccessKey", on=f"{IAM}user/${{aws:userid}}")], "iam:Create", id="variable"),
        pytest.param([PASS], "", id="passing roles alone"),
        pytest.param([allow("lambda:CreateFunction")], "", id="code alone"),
        pytest.param(
            [PASS, allow("lambda:CreateFunction")], "iam:PassRole on any role with lambda:CreateFunction", id="both"
        ),
        pytest.param(
            [allow("iam:PassRole", Condition=TO_X), allow("ec2:RunInstances")],
            "iam:PassRole on any role with ec2:RunInstances",
            id="passed on a condition",
        ),
        pytest.param([allow("iam:PassRole", on=f"{IAM}role/ml-*"), allow("ec2:*")], "", id="passing harmless roles"),
        pytest.param([allow("sso:CreateAccountAssignment")], "", id="no Identity Center here"),
        pytest.param([allow("lambda:UpdateFunctionCode")], "", id="code of functions, none of them administrator"),
    ],
)  # fmt: skip
def test_administrator_by_own_policies(statements, held):
    found = how(user("ada", *statements))
    assert bool(found) is bool(held)
    assert not held or any(held in one for one in found), found


@pytest.mark.parametrize(
    ("statements", "trusted", "held"),
    [
        pytest.param([allow("sts:AssumeRole", on=BOSS)], trust(ROOT), "sts:AssumeRole on ", id="trust of the account"),
        pytest.param([allow("sts:AssumeRole")], trust("123456789012"), "sts:AssumeRole on ", id="by its number"),
        pytest.param([], trust(ROOT), "", id="no policy lets it"),
        pytest.param([], trust(f"{IAM}user/ada"), "sts:AssumeRole on ", id="trust by name is enough"),
        pytest.param([deny("sts:*")], trust(f"{IAM}user/ada"), "", id="denied by an own policy"),
        pytest.param([allow("sts:*")], trust(f"{IAM}user/bob"), "", id="trust of somebody else"),
        pytest.param([allow("sts:*")], trust(service="ec2.amazonaws.com"), "", id="trust of a service"),
        pytest.param([allow("sts:AssumeRole", on=f"{IAM}role/other")], trust(ROOT), "", id="another role"),
        pytest.param([], trust("*"), "sts:AssumeRole on ", id="trust of everybody"),
        pytest.param([allow("sts:*")], trust(ROOT, Condition=MFA), "sts:AssumeRole on ", id="trust on a condition"),
        pytest.param(
            [allow("sts:*")],
            {"Statement": [*trust(ROOT)["Statement"], {**trust(f"{IAM}user/ada")["Statement"][0], "Effect": "Deny"}]},
            "",
            id="trust but for one",
        ),
        pytest.param(
            [allow("sts:*")],
            {"Statement": [*trust(ROOT)["Statement"], {
                "Effect": "Deny", "Action": "sts:*", "NotPrincipal": {"AWS": [f"{IAM}user/bob", ROOT]}}]},
            "",
            id="NotPrincipal, not in it",
        ),
        pytest.param(
            [allow("sts:*")],
            {"Statement": [*trust(ROOT)["Statement"], {
                "Effect": "Deny", "Action": "sts:*", "NotPrincipal": {"AWS": [f"{IAM}user/ada", ROOT]}}]},
            "sts:AssumeRole on ",
            id="NotPrincipal, in it",
        ),
        pytest.param(
            [allow("iam:PassRole", on=BOSS), allow("lambda:CreateFunction")],
            trust(service="lambda.amazonaws.com"),
            f"iam:PassRole on {BOSS} with lambda:CreateFunction",
            id="passed to a function",
        ),
        pytest.param(
            [allow("iam:PassRole", on=f"{IAM}role/b*"), allow("lambda:CreateFunction")],
            trust(service="ec2.amazonaws.com"),
            "",
            id="passed to a function, which may not take it",
        ),
        pytest.param(
            [allow("lambda:UpdateFunctionCode")], trust(service="lambda.amazonaws.com"),
            f"lambda:UpdateFunctionCode on functions of {BOSS}", id="code of its functions",
        ),
    ],
)  # fmt: skip
def test_administrator_by_a_role(statements, trusted, held):
    found = how(user("ada", *statements), boss(trust=trusted))
    assert bool(found) is bool(held), found
    assert not held or any(held in one for one in found), found


def test_a_chain_of_roles_is_followed_to_its_end():
    first = role("first", allow("sts:AssumeRole", on=f"{IAM}role/second"), trust=trust(ROOT))
    second = role("second", allow("sts:AssumeRole", on=BOSS), trust=trust(f"{IAM}role/first"))
    ada = user("ada", allow("sts:AssumeRole", on=f"{IAM}role/first"))
    here = account(ada, user("bob"), first, second, boss())
    found = derived(PRINCIPALS, here)
    assert {arn for arn, facts in found.items() if facts["admin"]["held"]} == set(found) - {f"{IAM}user/bob"}
    assert found[f"{IAM}user/ada"]["through"] == [BOSS, f"{IAM}role/first", f"{IAM}role/second"]


def test_a_ring_of_roles_ends():
    roles = [role(f"r{n}", allow("sts:AssumeRole"), trust=trust(ROOT)) for n in range(5)]
    assert not any(facts["admin"]["held"] for facts in derived(PRINCIPALS, account(*roles)).values())
    assert all(facts["admin"]["held"] for facts in derived(PRINCIPALS, account(*roles, boss())).values())


@pytest.mark.parametrize(
    ("boundary", "held"),
    [
        (doc(allow("*")), ["full"]),
        (doc(allow("s3:*")), []),
        (doc(allow("*"), deny("iam:*")), "PassRole"),
        (doc(allow("iam:CreatePolicyVersion", "s3:*")), ["iam:CreatePolicyVersion"]),
        (doc(allow("iam:*", on="arn:aws:iam::999999999999:*")), []),
        (doc({"NotAction": "iam:*", "Resource": "*"}), []),
    ],
)
def test_a_boundary_limits(boundary, held):
    found = how(
        user("ada", allow("iam:*", "*"), boundary=f"{IAM}policy/edge"), policies={f"{IAM}policy/edge": boundary}
    )
    if held == "PassRole":
        assert not {"full", "iam:*"} & set(found)
    else:
        assert [one for one in found if one in ("full", "iam:CreatePolicyVersion", "iam:*")][:1] == held[:1]
        assert bool(found) is bool(held)


def test_identity_center_counts_where_it_is_administered():
    adder = user("ada", allow("identitystore:*"))
    for here, held in (({"i": {"read_here": True}}, True), ({"i": {"read_here": False}}, False), ({}, False)):
        assert (how(adder, sso_instances=here) == ["identitystore:CreateGroupMembership"]) is held


def test_groups_give_and_take_away():
    groups = {
        f"{IAM}group/admins": {"name": "admins", "inline": {}, "attached": [BY_AWS + "AdministratorAccess"]},
        f"{IAM}group/leavers": {"name": "leavers", "inline": {"no": doc(deny("*"))}, "attached": []},
    }
    here = account(
        user("ada", groups=["admins"]), user("bob", groups=["admins", "leavers"]), iam_groups=groups,
        policies={BY_AWS + "AdministratorAccess": ADMIN},
    )  # fmt: skip
    found = derived(PRINCIPALS, here)
    assert found[f"{IAM}user/ada"]["admin"] == {
        "held": True, "how": ["full"], "by": [f"group admins: {BY_AWS}AdministratorAccess"], "conditions": [],
        "list": "escalation/1",
    }  # fmt: skip
    assert found[f"{IAM}user/bob"]["admin"]["how"] == []


@pytest.mark.parametrize(
    ("identity", "unread"),
    [
        (user("ada", attached=[f"{IAM}policy/gone"]), (f"{IAM}policy/gone", "dependency")),
        (user("ada", attached=[f"{IAM}policy/bad"]), (f"{IAM}policy/bad", "malformed")),
        (user("ada", inline={"x": Gap(Reason.MALFORMED)}), ("inline policies", "malformed")),
        (user("ada", groups=["gone"]), ("group gone", "dependency")),
        (user("ada", boundary=f"{IAM}policy/gone"), (f"{IAM}policy/gone", "dependency")),
    ],
)
def test_what_was_not_seen_is_said(identity, unread):
    here = account(identity, policies={f"{IAM}policy/bad": Gap(Reason.MALFORMED)})
    facts = derived(PRINCIPALS, here)[f"{IAM}user/ada"]
    assert [(one["name"], one["reason"]) for one in facts["unread"]] == [unread]


def test_odd_documents_crash_nothing():
    for odd in (
        {}, {"Statement": None}, {"Statement": "x"}, {"Statement": [None, 1, "x"]}, {"Statement": {"Effect": "Allow"}},
        {"Statement": {"Effect": "Allow", "Action": 1, "Resource": {}}}, 
        {"Statement": {"Effect": "Deny", "Action": None}},
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": []}},
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": "x"}}},
        {"Statement": {"Effect": "Allow", "Principal": [1], "Action": "sts:AssumeRole"}},
    ):  # fmt: skip
        rights = Rights({"odd": read(odd)})
        assert isinstance(rights.grants("s3:GetObject", "*"), list)
        derived(PRINCIPALS, account(user("ada", inline={"odd": odd}), role("r", trust=odd)))


def test_one_statement_without_a_list_and_plain_strings():
    one = {"Statement": {"Effect": "Allow", "Action": "iam:CreatePolicyVersion", "Resource": "*"}}
    assert how(user("ada", inline={"one": one})) == ["iam:CreatePolicyVersion"]


def test_six_kilobytes_of_unicode_and_of_wildcards_take_no_time():
    names = [f"arn:aws:s3:::größe-雪-{n}-*-{'ü' * 20}*/ё?*" for n in range(100)]
    awful = "arn:aws:s3:::" + "*a" * 500 + "*"
    rights = Rights({"u": read(doc(allow("s3:GetObject", on=[*names, awful])))})
    started = time.process_time()
    assert rights.grants("s3:GetObject", f"arn:aws:s3:::größe-雪-7-x-{'ü' * 20}y/ёz!")
    assert not rights.grants("s3:GetObject", "arn:aws:s3:::" + "a" * 499 + "b" * 500)
    assert not rights.grants("s3:GetObject", "arn:aws:s3:::GRÖSSE")
    assert meets(awful, "arn:aws:s3:::" + "*b" * 500)
    assert time.process_time() - started < 1


def test_variables_written_as_text():
    rights = Rights({"v": read(doc(allow("s3:GetObject", on="arn:aws:s3:::b/${*}/${$}/x")))})
    assert not rights.grants("s3:GetObject", "arn:aws:s3:::b/any/$/x")
    home = Rights({"v": read(doc(allow("s3:*", on="arn:aws:s3:::b/home/${aws:username}/*")))})
    assert home.grants("s3:GetObject", "arn:aws:s3:::b/home/x/y")
    fence = doc(allow("s3:*"), deny("s3:*", on="arn:aws:s3:::b/${aws:PrincipalTag/team}/*"))
    assert Rights({"v": read(fence)}).grants("s3:GetObject", "arn:aws:s3:::b/ml/x")
    but = doc(allow("s3:*"), {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::b/${aws:userid}"})
    assert Rights({"v": read(but)}).grants("s3:GetObject", "arn:aws:s3:::b/me")
    assert not Rights({"v": read(but)}).grants("s3:GetObject", "arn:aws:s3:::c/me")


# --- patterns and rights against a naive reading

TEXT = st.text("ab:", max_size=4)
PATTERN = st.text("ab:*?", max_size=5)
WORDS = ["".join(letters) for size in range(5) for letters in product("ab:", repeat=size)]


def naive(pattern: str, text: str) -> bool:
    """IAM's wildcards, written down as they are defined."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive(pattern[1:], text) or (bool(text) and naive(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and naive(pattern[1:], text[1:])


@given(PATTERN, TEXT)
def test_a_pattern_means_what_it_says(pattern, text):
    assert covers(pattern, text) is naive(pattern, text)
    assert meets(pattern, text) is meets(text, pattern) is naive(pattern, text)


@given(PATTERN, PATTERN)
def test_patterns_that_meet_and_cover(one, other):
    both = [word for word in WORDS if naive(one, word) and naive(other, word)]
    assert meets(one, other) is meets(other, one)
    assert meets(one, other) or not both
    if len(one.replace("*", "")) + len(other.replace("*", "")) <= 4:
        assert meets(one, other) is bool(both)
    if covers(one, other):
        assert [word for word in WORDS if naive(other, word)] == both
        assert meets(one, other) or not other


ACTIONS = ["s3:get", "s3:put", "iam:get", "iam:put"]
RESOURCES = ["a", "b", "ab", "ba"]
ONE_OR_MORE = {
    "action": st.sampled_from(["*", "s3:*", "S3:Get", "iam:*", "*:put", "iam:?et", "iam:put"]),
    "resource": st.sampled_from(["*", "a", "b*", "?b", "a*", "*a", "ab", "${x}", "a${y}"]),
}


@st.composite
def statement(draw: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    for kind, one in ONE_OR_MORE.items():
        name = draw(st.sampled_from(["", "", "Not"])) + kind.capitalize()
        said[name] = draw(one | st.lists(one, min_size=1, max_size=2))
    if draw(st.integers(0, 4)) == 0:
        said["Condition"] = {"Bool": {"x:y": "true"}}
    return said


DOCUMENT = st.builds(
    lambda said: {"Statement": said}, statement() | st.lists(statement(), max_size=3)
)  # fmt: skip


def of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def speaks(said: dict[str, Any], action: str, resource: str, *, wide: bool) -> bool:
    """Whether a statement is about this, its variables read so that it is about as much, or as little, as can be."""

    def listed(kind: str, text: str, *, more: bool) -> bool:
        return any(
            naive(pattern.replace("${x}", "*").replace("${y}", "*"), text)
            for pattern in of(said.get(kind, said.get(f"Not{kind}")))
            if more or "$" not in pattern
        )

    actions = [pattern.lower() for pattern in of(said.get("Action", said.get("NotAction")))]
    by_action = any(naive(pattern, action) for pattern in actions) is not ("NotAction" in said)
    out = "NotResource" in said
    return by_action and listed("Resource", resource, more=wide is not out) is not out


def naive_rights(documents: list[Any], boundary: Any, action: str, resource: str) -> bool:
    """Allow minus Deny without a condition, within the boundary."""
    held = [said for document in documents for said in of(document["Statement"])]
    limits = of(boundary["Statement"]) if boundary else []
    denied = any(
        said["Effect"] == "Deny" and "Condition" not in said and speaks(said, action, resource, wide=False)
        for said in [*held, *limits]
    )

    def allowed(by: list[Any]) -> bool:
        return any(said["Effect"] == "Allow" and speaks(said, action, resource, wide=True) for said in by)

    return not denied and allowed(held) and (boundary is None or allowed(limits))


@settings(max_examples=400)
@given(st.lists(DOCUMENT, max_size=3), st.none() | DOCUMENT)
def test_rights_are_those_of_the_naive_reading(documents, boundary):
    named = {str(number): read(document) for number, document in enumerate(documents)}
    rights = Rights(named, read(boundary) if boundary else None)
    held = {
        (action, resource)
        for action in ACTIONS
        for resource in RESOURCES
        if naive_rights(documents, boundary, action, resource)
    }
    for action in ACTIONS:
        for resource in RESOURCES:
            assert bool(rights.grants(action, resource)) is ((action, resource) in held)
        for space in ("*", "a*", "?b"):
            if any(naive(space, resource) for held_action, resource in held if held_action == action):
                assert rights.grants(action, space), "something like it is held, so it must not be said that it is not"


@given(st.lists(DOCUMENT, max_size=3), st.none() | DOCUMENT, st.permutations(range(3)))
def test_order_of_policies_does_not_matter(documents, boundary, order):
    edge = read(boundary) if boundary else None
    told = [
        {
            (action, resource)
            for action in (*ACTIONS, f"{ANY}:{ANY}")
            for resource in (*RESOURCES, "*", ANY)
            if Rights({str(n): read(documents[n]) for n in numbers if n < len(documents)}, edge).grants(
                action, resource
            )
        }
        for numbers in (range(3), order)
    ]
    assert told[0] == told[1]


@given(st.lists(DOCUMENT, max_size=2), DOCUMENT)
def test_a_boundary_never_gives(documents, boundary):
    named = {str(number): read(document) for number, document in enumerate(documents)}
    for action, resource in product(ACTIONS, (*RESOURCES, "*")):
        if Rights(named, read(boundary)).grants(action, resource):
            assert Rights(named).grants(action, resource)
