"""``hub up`` and ``hub down``: the database and Airflow with its interface."""

from hub.cli.printing import console
from hub.settings import settings


def up() -> None:
    """启动数据库与 Airflow（含界面） · Start the database and Airflow with its interface."""
    from hub.flows import bases, scheduler
    from hub.flows.database import ready

    ready()
    bases.applied(by="up")
    status = scheduler.up()
    console.print(f"Airflow: {status.address}")
    console.print(f"用户 user: admin · 密码在 password in {settings().secrets / 'airflow_admin'}")


def down() -> None:
    """停止 Airflow 与数据库，数据保留 · Stop both; data stays."""
    from hub.database import embedded
    from hub.flows import scheduler

    scheduler.down()
    if settings().database_url is None:
        embedded.down()
    console.print("已停止 · stopped")
