"""What happens at the company, day by day. Nothing here says what the agent will find.

`@on(day, time)`: day 1 is the first of the thirty, days below lie before the agent came; times are
UTC. Every event is a function that changes the company's own systems, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.demo.account import PREFIX, allow, anybody_reads, plain_refused
from agent.demo.company import Company

Deed = Callable[[Company], None]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a time."""

    day: int
    time: str
    what: str
    happen: Deed

    @property
    def minute(self) -> int:
        """Minutes after the midnight of its day."""
        hours, minutes = self.time.split(":")
        return int(hours) * 60 + int(minutes)


STORY: list[Event] = []
PEOPLE = (
    "amara.okafor",
    "ben.levi",
    "chen.wei",
    "dana.novak",
    "elif.kaya",
    "farid.rahimi",
    "grace.lindqvist",
    "ines.castro",
)
SERVICES = ("elif.kaya", "svc-airflow", "svc-ci-deploy", "svc-grafana", "svc-label-import")


def on(day: int, time: str) -> Callable[[Deed], Deed]:
    """Put a function into the story; its docstring is what happens."""

    def put(happen: Deed) -> Deed:
        STORY.append(Event(day, time, (happen.__doc__ or "").rstrip("."), happen))
        return happen

    return put


# --- Before the agent came


@on(-900, "08:00")
def open_account(company: Company) -> None:
    """The company opens its AWS account."""
    account = company.account
    account.protect_root()
    account.watch()
    account.password_policy(length=8, reuse=5)
    account.block_account(on=True)
    account.policy("ml-data-read", allow("s3:GetObject", "s3:ListBucket", on=_data("training-data", "features")))
    account.policy("ml-models-write", allow("s3:GetObject", "s3:PutObject", on=_data("model-artifacts")))
    account.group("administrators", "arn:aws:iam::aws:policy/AdministratorAccess")
    account.group("data-science", account.own("ml-data-read"), account.own("ml-models-write"))
    account.group("data-engineering", account.own("ml-data-read"))
    account.group("readers", "arn:aws:iam::aws:policy/SecurityAudit")
    account.group("robots", account.own("ml-data-read"))
    account.user("ben.levi", "administrators", console=True, mfa=True)
    account.user("amara.okafor", "administrators", console=True, mfa=True)


@on(-700, "08:00")
def open_buckets(company: Company) -> None:
    """The ML team moves in: buckets for data, models and logs."""
    account = company.account
    key = f"arn:aws:kms:eu-central-1:{account.id}:key/5d6f2a0e-1c3b-4f0e-9a57-0b7c1d2e3f40"
    account.bucket("training-data", "restricted", key=key)
    account.bucket("features", "restricted")
    account.bucket("model-artifacts", "confidential", versioned=False)
    account.bucket("inference-logs", "confidential")
    account.bucket("access-logs", "internal")
    account.record("access-logs")
    account.bucket("backups", "restricted", key=key)
    account.bucket("terraform-state", "confidential")
    account.bucket("raw-uploads", "restricted", tls_only=False)
    account.bucket("labels", "confidential", versioned=False)
    account.bucket("notebooks", None, tls_only=False, versioned=False, blocked=False)
    account.bucket("etl-scratch", "internal", versioned=False)
    account.bucket("sample-data", "public")
    for name in ("chen.wei", "dana.novak"):
        account.user(name, "data-science", console=True, mfa=True)
    account.user("hugo.martin", "data-engineering", console=True, mfa=True)


@on(-690, "08:00")
def make_roles(company: Company) -> None:
    """Roles for SageMaker, for deployments and for the agent."""
    account, sagemaker = company.account, {"Service": "sagemaker.amazonaws.com"}
    own_account = {"AWS": f"arn:aws:iam::{account.id}:root"}
    account.role("sagemaker-training", sagemaker, account.own("ml-data-read"), account.own("ml-models-write"))
    account.policy("notebook-convenience", allow("s3:*"), allow("iam:PassRole"))
    account.role("sagemaker-notebook", sagemaker, account.own("notebook-convenience"))
    account.policy("batch-everything", allow("sagemaker:*"), allow("s3:*", on=["arn:aws:s3:::*"]))
    account.role("sagemaker-batch", sagemaker, account.own("batch-everything"))
    account.role("administrator", own_account, "arn:aws:iam::aws:policy/AdministratorAccess")
    account.policy("migration-all", allow("*"))
    account.role("migration", own_account, account.own("migration-all"))
    account.reader("evidence-reader", own_account)


@on(-412, "08:00")
def label_import(company: Company) -> None:
    """The labelling vendor's import gets a user with an access key."""
    company.account.user("svc-label-import", "robots")
    company.account.key("svc-label-import")


@on(-320, "08:00")
def more_hands(company: Company) -> None:
    """More hands: engineers, a compliance lead, robots."""
    account = company.account
    account.user("farid.rahimi", "data-science", console=True)
    account.user("grace.lindqvist", "readers", console=True, mfa=True)
    account.user("elif.kaya", "data-engineering", console=True, mfa=True)
    account.user("svc-airflow", "robots")
    account.iam.attach_user_policy(UserName="svc-airflow", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    account.user("svc-ci-deploy", "robots")
    account.user("svc-grafana", "readers")
    account.key("svc-grafana")
    account.disable_key("svc-grafana")


@on(-210, "08:00")
def legacy_export(company: Company) -> None:
    """A one-off export gets a user; the export never runs."""
    company.account.user("svc-legacy-export", "robots")
    company.account.key("svc-legacy-export")


@on(-80, "08:00")
def laptop_key(company: Company) -> None:
    """Elif needs a key for her laptop."""
    company.account.key("elif.kaya")


@on(-70, "16:00")
def hugo_leaves(company: Company) -> None:
    """Hugo signs in for the last time: he leaves the company."""
    company.account.work(["hugo.martin"], [])


@on(-40, "08:00")
def contractor(company: Company) -> None:
    """A contractor comes for the quarter; keys of the robots are rotated."""
    company.account.user("ines.castro", "data-engineering", console=True)
    for robot in ("svc-airflow", "svc-ci-deploy", "svc-grafana"):
        company.account.key(robot)


@on(-20, "09:00")
def first_models(company: Company) -> None:
    """fraud-gate 1 and churn-risk 1 go to production."""
    for model in ("fraud-gate", "churn-risk"):
        version = company.train_and_register(model, 1, "chen.wei")
        company.models.approve(model, version, "dana.novak", "ML-101")
        company.models.promote(model, version)


# --- The thirty days


@on(2, "10:30")
def price_fit_1(company: Company) -> None:
    """price-fit 1 is trained and registered."""
    company.train_and_register("price-fit", 1, "chen.wei")


@on(3, "09:15")
def price_fit_1_approved(company: Company) -> None:
    """Dana approves price-fit 1."""
    company.models.approve("price-fit", "1", "dana.novak", "ML-118")


@on(4, "11:00")
def price_fit_1_promoted(company: Company) -> None:
    """price-fit 1 goes to production; passwords now need 14 characters."""
    company.models.promote("price-fit", "1")
    company.account.password_policy(length=14, reuse=24)


@on(5, "13:20")
def farid_enrols(company: Company) -> None:
    """Farid enrols a second factor."""
    company.account.enrol_mfa("farid.rahimi")


@on(6, "09:40")
def fraud_gate_2(company: Company) -> None:
    """fraud-gate 2 is trained, registered, and approved by Dana."""
    version = company.train_and_register("fraud-gate", 2, "farid.rahimi", strength=0.5)
    company.models.approve("fraud-gate", version, "dana.novak", "ML-121")


@on(7, "10:10")
def fraud_gate_2_promoted(company: Company) -> None:
    """fraud-gate 2 goes to production."""
    company.models.promote("fraud-gate", "2")


@on(8, "15:00")
def hugo_removed(company: Company) -> None:
    """Hugo's user is deleted, 78 days after he was last seen."""
    company.account.remove_user("hugo.martin")


@on(9, "08:50")
def churn_risk_2(company: Company) -> None:
    """churn-risk 2 comes from an uncommitted notebook; Dana approves it all the same."""
    version = company.train_and_register(
        "churn-risk", 2, "farid.rahimi", committed=False, pinned=False, source="churn.ipynb"
    )
    company.models.approve("churn-risk", version, "dana.novak", "ML-124")


@on(9, "14:00")
def artifacts_versioned(company: Company) -> None:
    """Versioning is turned on for the model artifacts."""
    company.account.version_bucket("model-artifacts")


@on(10, "09:30")
def churn_risk_2_promoted(company: Company) -> None:
    """churn-risk 2 goes to production."""
    company.models.promote("churn-risk", "2")


@on(10, "13:45")
def bucket_opened(company: Company) -> None:
    """For a workshop, sample-data and the account are opened to the world."""
    account = company.account
    account.block_account(on=False)
    account.block_bucket("sample-data", on=False)
    account.bucket_policy("sample-data", plain_refused(PREFIX + "sample-data"), anybody_reads(PREFIX + "sample-data"))


@on(11, "22:10")
def job_fails(company: Company) -> None:
    """A training of price-fit runs out of memory; the next try succeeds."""
    first = company.jobs.start("price-fit", "svc-airflow", environment="research")
    company.clock.later(3)
    run_id = company.models.crash("price-fit", 20, "svc-airflow")
    company.jobs.fail(first, "OutOfMemory: the process was killed at 32 GiB", run_id)
    company.train("price-fit", 21, "svc-airflow", job={"environment": "research", "retry_of": first.record["job_id"]})


@on(12, "16:30")
def bucket_closed(company: Company) -> None:
    """Amara sees the finding and closes sample-data again."""
    account = company.account
    account.bucket_policy("sample-data", plain_refused(PREFIX + "sample-data"))
    account.block_bucket("sample-data", on=True)
    account.block_account(on=True)


@on(13, "10:00")
def key_rotated(company: Company) -> None:
    """Elif rotates her key, late; svc-airflow loses its direct policy."""
    account = company.account
    account.rotate_key("elif.kaya")
    account.iam.detach_user_policy(UserName="svc-airflow", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")


@on(14, "09:20")
def fraud_gate_3(company: Company) -> None:
    """fraud-gate 3 is trained and registered."""
    company.train_and_register("fraud-gate", 3, "chen.wei", strength=0.2)


@on(14, "22:30")
def power_lost(company: Company) -> None:
    """The agent's host loses power."""
    company.host.powered = False


@on(15, "11:00")
def fraud_gate_3_promoted(company: Company) -> None:
    """Nobody watches: fraud-gate 3 is approved, and in production within the hour."""
    company.models.approve("fraud-gate", "3", "dana.novak", "ML-130")
    company.clock.later(40)
    company.models.promote("fraud-gate", "3")


@on(17, "06:10")
def power_back(company: Company) -> None:
    """The host is back, more than two days later."""
    company.host.powered = True


@on(17, "11:30")
def notebook_role(company: Company) -> None:
    """The notebook role is cut down to the buckets it needs."""
    company.account.rewrite_policy(
        "notebook-convenience", allow("s3:GetObject", "s3:ListBucket", on=_data("features", "notebooks"))
    )


@on(18, "09:05")
def careless_job(company: Company) -> None:
    """A job runs outside the network, with a token in a variable and the tag latest."""
    company.train(
        "churn-risk",
        30,
        "svc-airflow",
        job={
            "pinned": False,
            "private": False,
            "encrypted": False,
            "variables": {"HF_TOKEN": company.jobs.made_up_token()},
        },
    )


@on(18, "15:30")
def legacy_key_off(company: Company) -> None:
    """The key of the export that never ran is turned off."""
    company.account.disable_key("svc-legacy-export")


@on(19, "02:10")
def price_fit_2(company: Company) -> None:
    """At night price-fit 2 is put into production by hand, to stop a bad price."""
    version = company.train_and_register("price-fit", 2, "farid.rahimi")
    company.models.promote("price-fit", version)


@on(20, "10:00")
def after_the_fact(company: Company) -> None:
    """Dana approves price-fit 2 after the fact; Jonas starts without a second factor."""
    company.models.approve("price-fit", "2", "dana.novak", "ML-137")
    company.account.user("jonas.berg", "data-engineering", console=True)


@on(21, "08:30")
def permission_lost(company: Company) -> None:
    """A new guard-rail takes s3:GetEncryptionConfiguration from the agent's role."""
    company.account.refuse_encryption()


@on(22, "09:00")
def jonas_enrols(company: Company) -> None:
    """Jonas enrols a second factor; the migration role gives its rights back."""
    account = company.account
    account.enrol_mfa("jonas.berg")
    account.iam.detach_role_policy(RoleName="migration", PolicyArn=account.own("migration-all"))


@on(23, "11:40")
def mlflow_lost(company: Company) -> None:
    """The volume with MLflow's database is moved."""
    company.lose_mlflow()


@on(23, "15:10")
def mlflow_found(company: Company) -> None:
    """MLflow is back."""
    company.find_mlflow()


@on(24, "09:00")
def permission_back(company: Company) -> None:
    """The permission is given back, three days later."""
    company.account.allow_encryption()


@on(24, "16:45")
def version_deleted(company: Company) -> None:
    """Somebody tidies up the registry: fraud-gate 2, once in production, is deleted."""
    company.models.delete("fraud-gate", "2")


@on(25, "11:15")
def new_bucket(company: Company) -> None:
    """A bucket for evaluation data is made, as it should be."""
    company.account.bucket("evaluation-data", "restricted")


@on(26, "23:40")
def churn_risk_3_begins(company: Company) -> None:
    """The training of churn-risk 3 begins, from a commit this time."""
    company.begin("churn-risk", "farid.rahimi")


@on(27, "00:35")
def churn_risk_3(company: Company) -> None:
    """It ends after midnight, and the version is registered."""
    company.models.register(company.end("churn-risk", 3, "farid.rahimi"))


@on(27, "10:30")
def churn_risk_3_approved(company: Company) -> None:
    """Dana approves churn-risk 3; the agent's host is updated and restarted."""
    company.models.approve("churn-risk", "3", "dana.novak", "ML-142")
    company.host.restart_wanted = True


@on(28, "09:45")
def churn_risk_3_promoted(company: Company) -> None:
    """churn-risk 3 goes to production."""
    company.models.promote("churn-risk", "3")


@on(29, "14:20")
def uploads_closed(company: Company) -> None:
    """raw-uploads now refuses plain connections."""
    company.account.bucket_policy("raw-uploads", plain_refused(PREFIX + "raw-uploads"))


def _data(*buckets: str) -> list[str]:
    arns = [f"arn:aws:s3:::{PREFIX}{name}" for name in buckets]
    return [*arns, *(f"{arn}/*" for arn in arns)]
