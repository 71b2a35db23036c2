"""What a cluster says of the jobs in its queue, as the dashboard shows them."""

import pytest

from cloudweb.backend.ganeti import jobs
from cloudweb.backend.ganeti.errors import NotFound
from cloudweb.backend.ganeti.rapi import RapiClient
from tests.contract.subject import Driver


def test_the_list_says_of_what_a_job_is_and_what_asked_for_it(cluster: Driver) -> None:
    name = cluster.create()
    job = next(each for each in cluster.client.jobs_bulk() if each.ops[0].instance == name)
    [op] = job.ops
    assert (op.target, op.tool) == (name, "remote API")
    assert job.status == "success"
    assert job.received is not None
    assert job.started is not None
    assert job.ended is not None
    assert job.received <= job.started <= job.ended


def test_one_that_is_asked_about_tells_all_its_log_with_times(cluster: Driver) -> None:
    name = cluster.create()
    job = next(each for each in cluster.client.jobs_bulk() if each.ops[0].instance == name)
    row = cluster.client.job_as_sent(job.id)
    [log] = row["oplog"]  # type: ignore[misc]
    told = jobs.log_of(log)
    assert any("creating instance disks" in message for _, message in told)
    assert all(time is not None and time.year > 2000 for time, _ in told)
    assert told[-1][1] == jobs.last_log_line(log)


def test_one_that_there_is_not_is_not_found(client: RapiClient) -> None:
    with pytest.raises(NotFound):
        jobs.job_from_rapi(client.job_as_sent(999_999_999))
