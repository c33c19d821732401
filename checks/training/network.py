"""Where training and processing jobs run: private network, isolation, traffic between nodes, ways in."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.training.inputs import class_of_inputs
from checks.training.population import JOBS, PROCESSING, TRAINING, outside_tested


@check("job-in-vpc", over=JOBS)
@check("job-in-vpc", over=TRAINING)
@check("job-in-vpc", over=PROCESSING)
def job_in_vpc(job: Facts, ctx: Context) -> Verdict:
    """A training job that feeds production runs in the private network.

    Source: `network.private` of the job record; of SageMaker's jobs VpcConfig.Subnets. Tested population.
    """
    if outside := outside_tested(job, ctx):
        return outside
    network = job["network"]
    if network is None:
        return failed("the job names no network", private=None)
    private = network["private"]
    if private is True:
        return passed("the job ran in a private network", private=True)
    return failed("the job did not run in a private network", private=private)


@check("job-network-isolation", over=TRAINING, tags=["data_class"])
@check("job-network-isolation", over=PROCESSING, tags=["data_class"])
def job_network_isolation(job: Facts, ctx: Context) -> Verdict:
    """A job that reads restricted data runs isolated from the network.

    Source: EnableNetworkIsolation; class of the buckets that its inputs lie in (unlabelled counts as
    restricted). Inventory.
    """
    isolated = job["network"]["isolated"]
    if isolated:
        return passed("the job ran without network", isolated=True)
    if not job.list("inputs"):
        return undecided(Reason.UNDETERMINED, "the job names no input: what it read over the network is not known")
    found, said = class_of_inputs(job, ctx)
    facts = {"isolated": isolated, "inputs": said}
    if found is None:
        return undecided(Reason.NOT_CONFIGURED, f"unlabelled input: {said}", **facts)
    if found == "restricted":
        return failed(f"the job could reach the network though it read restricted data: {said}", **facts)
    return inapplicable(f"no input is restricted: {said}", **facts)


@check("job-internode-encryption", over=TRAINING)
@check("job-internode-encryption", over=PROCESSING)
def job_internode_encryption(job: Facts, ctx: Context) -> Verdict:
    """Traffic between the nodes of a job that feeds production is encrypted.

    Source: EnableInterContainerTrafficEncryption, when there is more than one instance. Tested population.
    """
    if outside := outside_tested(job, ctx):
        return outside
    nodes = job["nodes"]
    if nodes is None:
        return undecided(Reason.UNDETERMINED, "how many instances the job ran on is not known")
    if nodes == 1:
        return inapplicable("a single node", nodes=nodes)
    if job["network"]["internode_encrypted"]:
        return passed(f"traffic between {nodes} nodes encrypted", nodes=nodes)
    return failed(f"traffic between {nodes} nodes not encrypted", nodes=nodes)


@check("job-no-interactive-access", over=TRAINING)
def job_no_interactive_access(job: Facts, ctx: Context) -> Verdict:
    """Nobody can log in to the containers of a job that feeds production.

    Source: RemoteDebugConfig.EnableRemoteDebug. Tested population.
    """
    if outside := outside_tested(job, ctx):
        return outside
    if job["network"]["interactive"]:
        return failed("remote debugging was on: whoever may start a session could log in", interactive=True)
    return passed("no remote debugging", interactive=False)
