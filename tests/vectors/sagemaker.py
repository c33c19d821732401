"""What serves, the packages behind it, and their promotion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.clock import iso
from agent.model import Gap, Reason
from tests.judging import DENIED, NOW_MS
from tests.vectors import Vector

ENDPOINTS, COMPONENTS = "aws.sagemaker.endpoints", "aws.sagemaker.inference_components"
PACKAGES, ARCHIVES = "aws.sagemaker.model_packages", "aws.sagemaker.archives"
PRODUCTION, PROMOTIONS, NUMBERS = (f"aws.sagemaker.{name}" for name in ("production", "promotions", "numbers"))
APPROVALS, CARDS = "aws.sagemaker.approvals", "aws.sagemaker.model_cards"
VERSIONS, MODELS, SOURCES = (f"mlflow.registry.{name}" for name in ("versions", "models", "sources"))
HELD = "mlflow.registry.production"
PEOPLE = "docs.registers.people"
PARTIAL = Gap(Reason.PARTIAL, "ListModelPackages", "AccessDenied", "sagemaker:ListModelPackages")

_ARN = "arn:aws:sagemaker:eu-west-1:123456789012"
ENDPOINT, COMPONENT = f"{_ARN}:endpoint/credit", f"{_ARN}:inference-component/scorer"
ONE, TWO = (f"{_ARN}:model-package/credit/{number}" for number in (1, 2))
KEY = "arn:aws:kms:eu-west-1:123456789012:key/k"
PLACE = "s3://models/credit/2/model.tar.gz"
EVERY_TOPIC = [
    "ethical considerations", "explanation", "fairness", "intended use", "limitations", "owner", "performance",
    "training data",
]  # fmt: skip
WHOLE_CARD = "\n".join(f"# {topic.title()}\nsome" for topic in EVERY_TOPIC)


def at(hours: int) -> str:
    """A time, in hours from the one of judging."""
    return iso(NOW_MS + hours * 3_600_000)


def container(**given: Any) -> dict[str, Any]:
    """A container of a model."""
    nothing = dict.fromkeys(("image", "mode", "data_url", "data_etag", "package"))
    return {**nothing, "model_uris": [], "env_names": [], **given}


def model(*containers: Mapping[str, Any], name: str = "credit-2") -> dict[str, Any]:
    """A SageMaker model with these containers."""
    return {"name": name, "created": at(-9), "containers": list(containers)}


def endpoint(*models: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    """An endpoint in service with one variant that runs these models."""
    named = {one["name"]: one for one in models}
    variant = {"shadow": False, "serverless": False, "instance_types": ["ml.m5.large"], "models": named}
    return {
        "name": "credit",
        "status": "InService",
        "created": at(-9),
        "modified": at(-8),
        "config": {"name": "c", "created": at(-9), "kms_key": None},
        "variants": {"all": variant},
        "model_tags": {},
        "tags": {},
        **given,
    }


def component(*models: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    """An inference component in service that runs these models."""
    named = {one["name"]: one for one in models}
    return {"name": "scorer", "status": "InService", "models": named, "model_tags": {}, "tags": {}, **given}


def package(**given: Any) -> dict[str, Any]:
    """An approved package."""
    return {
        "group": "credit",
        "version": 2,
        "status": "Completed",
        "approval_status": "Approved",
        "source_uri": None,
        "commit": None,
        "containers": [{"data_url": PLACE, "data_etag": None}],
        "metrics": {"bias": []},
        "card": None,
        "customer_metadata": {},
        **given,
    }


def version(**tags: str) -> dict[str, Any]:
    """An MLflow version with these tags."""
    return {"model": "credit", "version": "2", "tags": tags, "description": None}


def held(**given: Any) -> dict[str, Any]:
    """A package that production runs."""
    return {
        "kind": "package",
        "package": TWO,
        "model": "credit",
        "group": "credit",
        "version": 2,
        "holds_now": True,
        "places": [ENDPOINT],
        "since": {"not_before": at(-5), "not_after": at(-4), "before_first_poll": False},
        "before": ONE,
        **given,
    }


def promotion(**given: Any) -> dict[str, Any]:
    """A package that production began to run between five and four hours before the time of judging."""
    interval = {"not_before": at(-5), "not_after": at(-4)}
    named = {"kind": "package", "package": TWO, "model": "credit", "group": "credit", "version": 2}
    return {**named, "how": f"runs on {ENDPOINT}", "interval": interval, **given}


def state(by: str | None, after: int, until: int) -> dict[str, Any]:
    """A state of a package's approval that came to be between these hours; `by` null: not approved."""
    status = "PendingManualApproval" if by is None else "Approved"
    on = None if by is None else at(until)
    return {"status": status, "by": by, "on": on, "ref": None, "not_before": at(after), "not_after": at(until)}


def approved(*states: Mapping[str, Any], known: int | None = 0, authors: tuple[str, ...] = ("ada",)) -> dict[str, Any]:
    """What is known of the approval of package 2."""
    made = [{"principal": name, "source": "CreatedBy"} for name in authors]
    until = None if known is None else at(known)
    return {APPROVALS: {TWO: {"states": list(states), "known_until": until, "authors": made}}}


def mlflow(*, by: str | None = "bob", **given: Any) -> dict[str, Any]:
    """A promoted MLflow version whose run Ada started."""
    before = {"by": by, "on": by and at(-7), "ref": given.pop("ref", None), "not_before": at(-8), "not_after": at(-6)}
    return {
        "kind": "model",
        "model": "credit",
        "version": "2",
        "run_id": "r2",
        "how": "alias:production",
        "interval": {"not_before": at(-5), "not_after": at(-4)},
        "approvals": [before],
        "approvals_known_until": at(0),
        **given,
    }


def runs(by: str | None = "ada") -> dict[str, Any]:
    """The run behind the version."""
    return {
        "mlflow.tracking.source_runs": {
            "r2": {"lifecycle_stage": "active", "started_by": {"principal": by}, "tags": {}}
        },
        "mlflow.tracking.runs": {},
    }


def evaluated(**tags: str) -> dict[str, Any]:
    """The registry with these tags on the version, and its run."""
    return {MODELS: {}, VERSIONS: {"credit/2": version(**tags)}, **runs()}


def held_model(**given: Any) -> dict[str, Any]:
    """An MLflow version in production."""
    named = {"kind": "model", "model": "credit", "version": "2", "run_id": "r2"}
    return {**named, "holds_now": True, "how": ["alias:production"], **given}


RUNS_TWO = model(container(package=TWO))
HAS_TWO = {PACKAGES: {TWO: package()}, ARCHIVES: {PLACE: {"packages": [TWO]}, "etag:e": {"packages": [TWO]}}}
PENDING = {PACKAGES: {TWO: package(approval_status="PendingManualApproval")}, ARCHIVES: {PLACE: {"packages": [TWO]}}}
EMPTY = {PACKAGES: {}, ARCHIVES: {}}
BY_BOB = {"approved_by": "bob", "approved_on": at(-7)}
IN_MLFLOW = {**EMPTY, VERSIONS: {"credit/2": version(**BY_BOB)}, MODELS: {"credit": {"aliases": {"live": "2"}}},
             SOURCES: {"s3://mlflow/credit": {"versions": ["credit/2"]}}}  # fmt: skip
UNAPPROVED = {**IN_MLFLOW, VERSIONS: {"credit/2": version()}}
CHANGES = "docs.registers.changes"
ROWS = "docs.registers.model_approvals"
ROW = {"model": "credit", "version": "2", "decision": "approved", "approved_by": "bob", "approved_on": "2027-01-14",
       "change_ref": "CHG-1"}  # fmt: skip


def deployed(status: str, facts: Mapping[str, Any], here: Mapping[str, Any], says: str = "", **given: Any) -> Vector:
    """A vector of deployed-version-known over an endpoint."""
    return Vector("deployed-version-known", status, facts, over=ENDPOINTS, key=ENDPOINT, here=here, says=says, **given)


DEPLOYED = [
    deployed("pass", endpoint(RUNS_TWO), HAS_TWO, "Approved"),
    deployed("fail", endpoint(RUNS_TWO), PENDING, "PendingManualApproval"),
    deployed("not_evaluated", endpoint(RUNS_TWO), EMPTY, "not among the packages collected"),
    deployed("not_evaluated", endpoint(RUNS_TWO), {PACKAGES: {}}, partial={PACKAGES: PARTIAL}),
    deployed("not_evaluated", endpoint(variants={"all": {"shadow": False, "models": {"m": DENIED}}}), HAS_TWO),
    deployed("not_evaluated", endpoint(RUNS_TWO, config=None), HAS_TWO, "was deleted"),
    deployed("not_applicable", endpoint(RUNS_TWO, status="Creating"), HAS_TWO, "answers nobody"),
    deployed("not_applicable", endpoint(), HAS_TWO, "inference components"),
    deployed("fail", endpoint(RUNS_TWO, status="Updating"), PENDING),
    # what one variant runs is approved, what the other runs is not
    deployed("fail", endpoint(RUNS_TWO, model(container(package=ONE), name="credit-1")),
             {PACKAGES: {TWO: package(), ONE: package(approval_status="Rejected")}, ARCHIVES: {}}, "Rejected"),
    # an unversioned package, named without its ARN
    deployed("pass", endpoint(model(container(package="old"))),
             {PACKAGES: {f"{_ARN}:model-package/old": package()}, ARCHIVES: {}}),
    deployed("not_evaluated", endpoint(model(container(package="old"))),
             {PACKAGES: {f"{_ARN}:model-package/old": package(approval_status=None)}, ARCHIVES: {}}, "without"),
    # the archive lies where an approved package has its own; the digest goes first
    deployed("pass", endpoint(model(container(data_url=PLACE))), HAS_TWO, "Approved"),
    deployed("pass", endpoint(model(container(data_url="s3://copy/model.tar.gz", data_etag="e"))), HAS_TWO),
    deployed("fail", endpoint(model(container(data_url=PLACE))), PENDING),
    deployed("not_evaluated", endpoint(model(container(data_url="s3://models/"))), HAS_TWO, "no registered version"),
    deployed("not_evaluated", endpoint(model(container(data_url=PLACE, mode="MultiModel"))), HAS_TWO),
    deployed("not_evaluated", endpoint(model()), HAS_TWO, "names no model data"),
    # of a pipeline, one container holds only code
    deployed("pass", endpoint(model(container(image="sklearn"), container(package=TWO))), HAS_TWO),
    # by the tags of the model, then of the endpoint
    deployed("pass", endpoint(model(container(data_url="s3://x/m")), tags={},
             model_tags={"credit-2": {"mlflow_model": "credit", "mlflow_version": "2"}}), IN_MLFLOW, "approved by bob"),
    deployed("fail", endpoint(model(container(data_url="s3://x/m")),
             tags={"mlflow_model": "credit", "mlflow_version": "2"}), UNAPPROVED, "nobody approved"),
    deployed("not_evaluated", endpoint(model(container(data_url="s3://x/m")),
             tags={"mlflow_model": "credit", "mlflow_version": "7"}), IN_MLFLOW, "does not list"),
    # by a URI in the environment
    deployed("pass", endpoint(model(container(model_uris=["models:/credit/2"]))), IN_MLFLOW),
    deployed("pass", endpoint(model(container(model_uris=["models:/credit@live"]))), IN_MLFLOW),
    deployed("not_evaluated", endpoint(model(container(model_uris=["models:/credit@dead"]))), IN_MLFLOW),
    deployed("pass", endpoint(model(container(data_url="s3://mlflow/credit/"))), IN_MLFLOW),
    # approved by the register
    deployed("pass", endpoint(model(container(model_uris=["models:/credit/2"]))), UNAPPROVED | {ROWS: {"1": ROW}}),
    Vector("deployed-version-known", "pass", component(model(container(data_url=PLACE))), over=COMPONENTS,
           key=COMPONENT, here=HAS_TWO),
    Vector("deployed-version-known", "fail", component(RUNS_TWO), over=COMPONENTS, key=COMPONENT, here=PENDING),
    Vector("deployed-version-known", "not_applicable", component(RUNS_TWO, status="Failed"), over=COMPONENTS,
           key=COMPONENT, here=HAS_TWO),
    Vector("deployed-version-known", "not_evaluated", component(models={"m": DENIED}), over=COMPONENTS,
           key=COMPONENT, here=HAS_TWO),
]  # fmt: skip


def promoted(status: str, here: Mapping[str, Any], says: str = "", **given: Any) -> Vector:
    """A vector of promotion-has-approval over a package."""
    return Vector("promotion-has-approval", status, promotion(), over=PROMOTIONS, here=here, says=says, **given)


PROMOTED = [
    promoted("pass", approved(state(None, -9, -9), state("bob", -7, -7)), "approved by bob"),
    promoted("pass", approved(state(None, -9, -9), state("bob", -5, -5)), "approved by bob"),
    promoted("fail", approved(state(None, -9, -9)), "no approval of the version"),
    promoted("fail", approved(state(None, -9, -9), state("bob", -3, -2)), "recorded after the promotion"),
    promoted("fail", approved(state("bob", -9, -8), state(None, -7, -7)), "no approval of the version"),
    promoted("fail", approved(state("ada", -9, -8)), "approved by its own author"),
    promoted("not_evaluated", approved(state(None, -9, -9), state("bob", -6, -4)), "order not proven"),
    promoted("not_evaluated", approved(state("bob", -9, -8), state(None, -6, -4)), "order not proven"),
    promoted("not_evaluated", approved(state("bob", -9, -8), known=-5), "not read again"),
    promoted("not_evaluated", approved(state("", -9, -8)), "by whom is not known"),
    promoted("not_evaluated", approved(state("ada@example.com", -9, -8)), "may be the same person"),
    promoted("not_evaluated", {APPROVALS: {}}, "not among those collected"),
    promoted("not_evaluated", {APPROVALS: DENIED}),
    # people are told apart by the register, by every name they give
    promoted("pass", approved(state("ada@example.com", -9, -8)) | {PEOPLE: {
        "1": {"id": "p1", "name": "Ada Byron", "identities": "ada@example.com"},
        "2": {"id": "p2", "name": "Ada Lovelace", "identities": "ada"}}}),
    promoted("fail", approved(state("countess", -9, -8)) | {PEOPLE: {
        "1": {"id": "p1", "name": "Ada", "identities": "countess"}}}, "its own author"),
    Vector("approver-not-author", "pass", promotion(), over=PROMOTIONS, here=approved(state("bob", -9, -8))),
    Vector("approver-not-author", "fail", promotion(), over=PROMOTIONS, here=approved(state("Ada", -9, -8))),
    Vector("approver-not-author", "fail", promotion(), over=PROMOTIONS,
           here=approved(state("arn:aws:iam::123456789012:user/ada", -9, -8))),
    Vector("approver-not-author", "not_evaluated", promotion(), over=PROMOTIONS, says="names nobody",
           here=approved(state("bob", -9, -8), authors=("botocore-session-1700000000", "SageMaker", "i-0123456789"))),
    Vector("approver-not-author", "not_evaluated", promotion(), over=PROMOTIONS, here=approved(state(None, -9, -8)),
           says="nobody approved"),
    Vector("approver-not-author", "not_evaluated", promotion(), over=PROMOTIONS, here=approved(state("", -9, -8))),
    # approved only afterwards: judged all the same
    Vector("approver-not-author", "fail", promotion(), over=PROMOTIONS,
           here=approved(state(None, -9, -9), state("ada", -3, -2))),
    Vector("approver-not-author", "pass", mlflow(), over="mlflow.registry.promotions", here=runs()),
    Vector("approver-not-author", "fail", mlflow(by="ADA"), over="mlflow.registry.promotions", here=runs()),
    Vector("approver-not-author", "not_evaluated", mlflow(), over="mlflow.registry.promotions", here=runs("root")),
    Vector("author-attributable", "pass", promotion(), over=PROMOTIONS, here=approved(), says="made by ada"),
    Vector("author-attributable", "not_evaluated", promotion(), over=PROMOTIONS, here=approved(authors=())),
    Vector("author-attributable", "not_evaluated", promotion(), over=PROMOTIONS, here={APPROVALS: DENIED}),
    Vector("author-attributable", "pass", mlflow(), over="mlflow.registry.promotions", here=runs()),
    Vector("author-attributable", "not_evaluated", mlflow(kind="prompt"), over="mlflow.registry.promotions"),
    Vector("promotion-has-change-record", "pass", promotion(), over=PROMOTIONS, says="CHG-1",
           here={PACKAGES: {TWO: package()}, ROWS: {"1": ROW}}),
    Vector("promotion-has-change-record", "pass", promotion(), over=PROMOTIONS,
           here={PACKAGES: {TWO: package(customer_metadata={"change_ref": "CHG-2"})}, CHANGES: {"1": {"id": "CHG-2"}}}),
    Vector("promotion-has-change-record", "fail", promotion(), over=PROMOTIONS, says="names no change",
           here={PACKAGES: {TWO: package()}, CHANGES: {"1": {"id": "CHG-2"}}}),
    # a row about another version is no row about this one
    Vector("promotion-has-change-record", "fail", promotion(), over=PROMOTIONS,
           here={PACKAGES: {TWO: package()}, ROWS: {"1": {**ROW, "version": "1"}}}),
    Vector("promotion-has-change-record", "not_evaluated", promotion(), over=PROMOTIONS,
           here={PACKAGES: {TWO: package()}}, says="no register"),
    Vector("promotion-has-change-record", "not_evaluated", promotion(), over=PROMOTIONS, partial={CHANGES: PARTIAL},
           here={PACKAGES: {TWO: package()}, CHANGES: {}}),
    Vector("promotion-has-change-record", "pass", mlflow(ref="CHG-2"), over="mlflow.registry.promotions",
           here={CHANGES: {"1": {"id": "7", "ref": "CHG-2"}}}),
]  # fmt: skip


def production(check: str, status: str, facts: Mapping[str, Any], here: Mapping[str, Any], says: str = "") -> Vector:
    """A vector over a package in production."""
    return Vector(
        check, status, facts, over=PRODUCTION, key=TWO, here={ENDPOINTS: {}, COMPONENTS: {}, **here}, says=says
    )


def of_two(**given: Any) -> dict[str, Any]:
    """A world with package 2 and no model card."""
    return {PACKAGES: {TWO: package(**given)}, CARDS: {}}


WHOLE = {"status": "Approved", "content": {"topics": EVERY_TOPIC, "package": None, "model": None, "model_id": None}}
DRAFT = {**WHOLE, "status": "Draft"}
THIN = {**WHOLE, "content": {**WHOLE["content"], "topics": EVERY_TOPIC[1:]}}
OTHER = {**WHOLE, "name": "other", "content": {**WHOLE["content"], "model": "churn"}}
ABOUT_GROUP = {**WHOLE, "name": "credit", "content": WHOLE["content"]}
PREVIOUS = {PACKAGES: {TWO: package(), ONE: package(version=1)}}
SAFE = {"name": "credit", "affects_people": "no", "reason": "internal scoring of disks", "approved_by": "bob"}

IN_PRODUCTION = [
    production("production-version-approved", "pass", held(), of_two() | approved(state("bob", -9, -8))),
    production("production-version-approved", "fail", held(), of_two(approval_status="Rejected") | approved()),
    production("production-version-approved", "fail", held(), of_two() | approved(state("ada", -9, -8)), "own author"),
    production("production-version-approved", "not_evaluated", held(), of_two() | approved(state("", -9, -8))),
    production("production-version-approved", "not_evaluated", held(), {PACKAGES: {}} | approved()),
    production("production-version-approved", "not_applicable", held(holds_now=False), {}),
    # an endpoint that was not described may run whatever it likes
    production("production-version-approved", "not_evaluated", held(holds_now=False), {ENDPOINTS: DENIED}),
    production("model-card-present", "not_evaluated", held(), of_two(card=WHOLE) | {COMPONENTS: DENIED}),
    Vector("production-version-approved", "pass", held_model(), over=HELD, key="credit/2",
           here={MODELS: {}, VERSIONS: {"credit/2": version(**BY_BOB)}} | runs()),
    Vector("production-version-approved", "pass", held_model(), over=HELD, key="credit/2", says="by the register",
           here={MODELS: {}, VERSIONS: {"credit/2": version()}, ROWS: {"1": ROW}} | runs()),
    Vector("production-version-approved", "fail", held_model(), over=HELD, key="credit/2", says="without an approval",
           here={MODELS: {}, VERSIONS: {"credit/2": version()}, ROWS: {"1": {**ROW, "decision": "refused"}}} | runs()),
    Vector("production-version-approved", "fail", held_model(), over=HELD, key="credit/2", says="has no time",
           here={MODELS: {}, VERSIONS: {"credit/2": version(approved_by="bob")}} | runs()),
    Vector("production-version-approved", "not_evaluated", held_model(), over=HELD, key="credit/2",
           here={MODELS: {}, VERSIONS: {}}, partial={VERSIONS: PARTIAL}),
    Vector("production-version-approved", "not_evaluated", held_model(), over=HELD, key="credit/2",
           here={MODELS: {}, VERSIONS: {"credit/2": version()}} | runs(), partial={MODELS: PARTIAL}),
    Vector("production-version-approved", "not_applicable", held_model(holds_now=False), over=HELD, key="credit/2",
           here={MODELS: {}}),
    production("model-card-present", "pass", held(), of_two(card=WHOLE)),
    production("model-card-present", "pass", held(), of_two() | {CARDS: {"c": ABOUT_GROUP}}),
    # the one that is approved counts, not the one that says more
    production("model-card-present", "fail", held(), of_two(card=DRAFT) | {CARDS: {"c": {**THIN, "name": "credit"}}},
               "says nothing of: ethical considerations"),
    production("model-card-present", "fail", held(), of_two(card=DRAFT), "no model card is approved"),
    production("model-card-present", "fail", held(), of_two() | {CARDS: {"c": OTHER}}, "no model card"),
    production("model-card-present", "not_evaluated", held(), of_two() | {CARDS: DENIED}),
    production("model-card-present", "not_applicable", held(holds_now=False), {}),
    Vector("model-card-present", "pass", held_model(), over=HELD, key="credit/2",
           here={VERSIONS: {"credit/2": {**version(), "description": WHOLE_CARD}}, MODELS: {}}),
    Vector("model-card-present", "fail", held_model(), over=HELD, key="credit/2", says="says nothing of: limitations",
           here={VERSIONS: {"credit/2": version()}, MODELS: {"credit": {"description": "# Purpose\nscores loans"}}}),
    Vector("model-card-present", "not_evaluated", held_model(), over=HELD, key="credit/2",
           here={VERSIONS: {"credit/2": version()}, MODELS: {"credit": {"description": "a model"}}}),
    Vector("model-card-present", "not_applicable", held_model(kind="prompt"), over=HELD, key="credit/2"),
    production("bias-evaluation-present", "pass", held(), of_two(metrics={"bias": ["s3://models/bias.json"]})),
    production("bias-evaluation-present", "fail", held(), of_two()),
    production("bias-evaluation-present", "not_applicable", held(), of_two() | {"docs.registers.models": {"1": SAFE}}),
    production("bias-evaluation-present", "fail", held(),
               of_two() | {"docs.registers.models": {"1": {**SAFE, "approved_by": None}}}),
    production("bias-evaluation-present", "not_evaluated", held(), {PACKAGES: DENIED}),
    Vector("bias-evaluation-present", "pass", held_model(), over=HELD, key="credit/2",
           here=evaluated(bias_evaluation="passed", bias_evaluation_ref="B-1")),
    Vector("bias-evaluation-present", "fail", held_model(), over=HELD, key="credit/2",
           here=evaluated(bias_evaluation="failed", bias_evaluation_ref="B-1")),
    Vector("bias-evaluation-present", "fail", held_model(), over=HELD, key="credit/2", says="without saying where",
           here=evaluated(bias_evaluation="passed")),
    Vector("bias-evaluation-present", "not_evaluated", held_model(), over=HELD, key="credit/2",
           here={MODELS: {}, VERSIONS: {"credit/2": version()}} | runs()),
    Vector("bias-evaluation-present", "not_applicable", held_model(holds_now=False), over=HELD, key="credit/2",
           here={MODELS: {}}),
    production("previous-version-present", "pass", held(), PREVIOUS, "ran before and lies at"),
    production("previous-version-present", "fail", held(), of_two(), "is gone"),
    production("previous-version-present", "fail", held(), {PACKAGES: {TWO: package(), ONE: package(status="Failed")}}),
    production("previous-version-present", "fail", held(),
               {PACKAGES: {TWO: package(), ONE: package(customer_metadata={"withdrawn": "yes"})}}, "withdrawn"),
    production("previous-version-present", "fail", held(), {PACKAGES: {TWO: package(), ONE: package(containers=[])}}),
    production("previous-version-present", "fail", held(before=None), of_two(), "without a documented fallback"),
    production("previous-version-present", "not_applicable", held(before=None),
               of_two(customer_metadata={"fallback": "rules of 2024"}), "rules of 2024"),
    production("previous-version-present", "not_evaluated",
               held(before=None, since={"before_first_poll": True}), of_two(), "was not seen"),
]  # fmt: skip


def numbered(**given: Any) -> dict[str, Any]:
    """Version numbers of a group, all there."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("deleted_after_production_or_staging", "deleted_others", "missing_at_first_poll", "never_seen"), []
    )
    return {"group": "credit", "lowest": 1, "highest": 3, "present": [1, 3], **nothing, **given}


GROUP = f"{_ARN}:model-package/credit"
EXPLAINED = {CHANGES: {"1": {"id": "CHG-3", "kind": "model_deletion", "ref": "credit/2"}}}
ALL_THERE: dict[str, Any] = {PACKAGES: {}}


def numbers(status: str, facts: Mapping[str, Any], here: Mapping[str, Any], says: str = "", **given: Any) -> Vector:
    """A vector over the numbers of a group."""
    check = "version-numbers-contiguous"
    return Vector(check, status, facts, over=NUMBERS, key=GROUP, here=here, says=says, **given)


TAGGED = {"owner": "ada", "data_class": "internal"}
CUSTOMER = {"key_standard": dict.fromkeys(("public", "internal", "confidential", "restricted"), "customer")}
NOTEBOOK = {"name": "lab", "instance_type": "ml.t3.medium", "kms_key": KEY, "tags": {}}
DOMAIN = {"name": "studio", "kms_key": None, "tags": {"data_class": "restricted"}}
ONLY_RESTRICTED = {"key_standard": {**CUSTOMER["key_standard"], "internal": "provider"}}


def on_kinds(*kinds: str, serverless: bool = False) -> dict[str, Any]:
    """An endpoint on these kinds of instances."""
    return endpoint(variants={"all": {"serverless": serverless, "instance_types": list(kinds)}})


def volume(status: str, facts: Mapping[str, Any], over: str, says: str = "", **settings: Any) -> Vector:
    """A vector of volume-encryption where every class demands a key of one's own."""
    return Vector(
        "volume-encryption", status, facts, over=over, key=ENDPOINT, says=says, settings={**CUSTOMER, **settings}
    )


RESOURCES = [
    numbers("pass", numbered(), ALL_THERE),
    numbers("pass", numbered(deleted_others=[1]), ALL_THERE, "never in production"),
    numbers("fail", numbered(deleted_after_production_or_staging=[2]), ALL_THERE, "version 2"),
    numbers("pass", numbered(deleted_after_production_or_staging=[2]), ALL_THERE | EXPLAINED),
    numbers("not_evaluated", numbered(never_seen=[3]), ALL_THERE | EXPLAINED, "came and went"),
    numbers("not_evaluated", numbered(), ALL_THERE, partial={PACKAGES: PARTIAL}),
    volume("pass", NOTEBOOK, "aws.sagemaker.notebooks", "k"),
    volume("fail", {**NOTEBOOK, "kms_key": None}, "aws.sagemaker.notebooks"),
    volume("not_evaluated", {**NOTEBOOK, "tags": DENIED}, "aws.sagemaker.notebooks"),
    volume("not_evaluated", NOTEBOOK, "aws.sagemaker.notebooks", "unlabelled", default_data_class=""),
    volume("not_applicable", {**NOTEBOOK, "instance_type": "ml.c5d.xlarge"}, "aws.sagemaker.notebooks", "local disks"),
    volume("not_applicable", {**NOTEBOOK, "tags": {"data_class": "internal"}}, "aws.sagemaker.notebooks",
           "provider's key", **ONLY_RESTRICTED),
    Vector("volume-encryption", "not_applicable", NOTEBOOK, over="aws.sagemaker.notebooks", says=KEY),
    volume("fail", DOMAIN, "aws.sagemaker.domains", "restricted"),
    volume("pass", {**DOMAIN, "kms_key": KEY}, "aws.sagemaker.domains"),
    volume("pass", endpoint(RUNS_TWO, config={"kms_key": KEY}), ENDPOINTS),
    volume("fail", endpoint(RUNS_TWO), ENDPOINTS),
    volume("not_evaluated", endpoint(RUNS_TWO, config=None), ENDPOINTS),
    volume("not_applicable", on_kinds(serverless=True), ENDPOINTS, "serverless"),
    volume("not_applicable", on_kinds("ml.g5.xlarge"), ENDPOINTS),
    # one kind of instance has a volume
    volume("fail", on_kinds("ml.g4dn.xlarge", "ml.p3.2xlarge"),
           ENDPOINTS),
    Vector("asset-tagged", "pass", endpoint(tags=TAGGED), over=ENDPOINTS, key=ENDPOINT,
           here={PEOPLE: {"1": {"id": "p1", "name": "ada"}}}),
    Vector("asset-tagged", "fail", endpoint(), over=ENDPOINTS, key=ENDPOINT, says="no owner"),
    Vector("asset-tagged", "not_evaluated", endpoint(tags=DENIED), over=ENDPOINTS, key=ENDPOINT),
    Vector("region-allowed", "pass", endpoint(tags=TAGGED), over=ENDPOINTS, key=ENDPOINT,
           settings={"allowed_regions": {"internal": ["eu-west-1"]}}),
    Vector("region-allowed", "fail", endpoint(tags=TAGGED), over=ENDPOINTS, key=ENDPOINT,
           settings={"allowed_regions": {"internal": ["eu-north-1"]}}),
    Vector("region-allowed", "not_evaluated", endpoint(tags=TAGGED), over=ENDPOINTS, key=ENDPOINT),
]  # fmt: skip

VECTORS = [*DEPLOYED, *PROMOTED, *IN_PRODUCTION, *RESOURCES]
_EVERY_PROMOTION = "not_applicable: a promotion is an event; where there is none, nothing is judged"
NEVER = {
    "promotion-has-approval": _EVERY_PROMOTION,
    "approver-not-author": _EVERY_PROMOTION,
    "promotion-has-change-record": _EVERY_PROMOTION,
    "author-attributable": "fail not_applicable: an author that nobody names is never held against a promotion",
    "version-numbers-contiguous": "not_applicable: of every group there is a number to judge",
}
