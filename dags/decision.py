"""Publishing a batch, and asking an officer where the gate holds it: Airflow's human-in-the-loop, in the same task.

A batch that goes through costs nothing extra. A held one parks the task (`awaiting_input`: no process, no slot of a pool)
until somebody answers in Airflow's interface, or `hub batch release` or `discard` is used: the task looks every few minutes.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from dags.failures import told_to_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

RELEASE, DISCARD = "放行 · Release", "作废 · Discard"
LOOK_AGAIN = timedelta(minutes=5)


class Publish(HITLOperator):
    """Publish the batch whose id *batch* is; if it is held, wait for an officer's decision and carry it out."""

    # The question is not a template: what it says comes from the batch.
    template_fields = ("batch",)

    def __init__(self, *, batch: "XComArg | int", **kwargs: Any) -> None:  # noqa: ANN401 (Airflow's own arguments)
        """Take the batch's id, and what every operator takes."""
        reason = Param("", type="string", title="原因 · Reason", description="记入审计 · recorded in the audit log")
        kwargs.pop("params", None)  # the DAG's own: they are asked when a run is started, not here
        super().__init__(
            subject="批次被扣留 · A batch is held",
            options=[RELEASE, DISCARD],
            params={"reason": reason},
            response_timeout=LOOK_AGAIN,
            **kwargs,
        )
        self.batch = batch

    def execute(self, context: "Context") -> None:
        """Publish, or ask."""
        from hub.flows import decisions  # noqa: PLC0415 (heavy: not while parsing)

        with told_to_airflow():
            state = decisions.state_of(int(str(self.batch)))
        # Tried again after its answer was carried out: Airflow may lose sight of a task that is answered as it parks.
        if state == "discarded":
            raise AirflowSkipException(f"batch {self.batch} was discarded")
        with told_to_airflow():
            waiting = decisions.publish_or_hold(int(str(self.batch)), started_by=f"airflow:{context['run_id']}")
            if waiting is None:
                return
            self.subject = f"批次 {waiting.id} 被扣留 · Batch {waiting.id} of {waiting.dataset} is held"
            self.body = decisions.question(waiting)
        self._wait(context, waiting.id)

    def _wait(self, context: "Context", held: int) -> NoReturn:
        try:
            super().execute(context)
        except TaskAwaitingInput as waiting:
            waiting.method_name = "decided"
            waiting.kwargs = {"held": held}  # the answer is about this batch, whatever is held by then
            raise
        raise AssertionError

    def decided(self, context: "Context", held: int, event: dict[str, Any]) -> None:
        """Carry out the answer, or go on waiting; end at once if the batch was decided elsewhere."""
        with told_to_airflow():
            from hub.flows import decisions  # noqa: PLC0415 (heavy: not while parsing)

            chosen, reason, user = _answer(event)
            state = decisions.state_of(held)
            if state == "held" and chosen and reason and user:
                decisions.decide(held, release=chosen == RELEASE, by=f"airflow-user:{user}", reason=reason)
                state = decisions.state_of(held)
        if state == "held":
            self.log.info("Batch %s still waits for a decision with a reason", held)
            self._wait(context, held)
        self.log.info("Batch %s is %s", held, state)
        if state == "discarded" and chosen != RELEASE:
            raise AirflowSkipException(f"batch {held} was discarded")


def _answer(event: dict[str, Any]) -> tuple[str | None, str, str | None]:
    """Return the option, the reason and the user of a response; nothing chosen where the wait ran out."""
    chosen = (event.get("chosen_options") or [None])[0]
    reason = str((event.get("params_input") or {}).get("reason") or "").strip()
    user = event.get("responded_by_user") or {}
    return chosen, reason, user.get("id")
