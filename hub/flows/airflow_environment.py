"""What Airflow's processes are told: where its database is, its port, its folders, its generated secrets.

All by environment, so that airflow.cfg is the same everywhere and holds no secret.
"""

import json
import os
import socket
from pathlib import Path

from hub.database.engine import url
from hub.database.passwords import ensure_password
from hub.database.roles import Role
from hub.settings import REPOSITORY, settings

ADMINISTRATOR = "admin"
_FAVOURITE_PORT = 8080


def folder() -> Path:
    """Return the folder of everything Airflow writes."""
    return settings().state / "airflow"


def address() -> str:
    """Return where Airflow's interface and REST API are, on this machine only."""
    return f"http://127.0.0.1:{_port()}"


def environment() -> dict[str, str]:
    """Return the environment of every process of Airflow: this process's own, and what follows from the settings."""
    return {**os.environ, **_hub(), **_airflow(), **_secrets(), **_quiet()}


def choose_port() -> None:
    """Keep the port of last time if it is free, else 8080, else any. Call while Airflow is down."""
    chosen = next(port for port in (_port(), _FAVOURITE_PORT, 0) if _free(port))
    if chosen == 0:
        with socket.create_server(("127.0.0.1", 0)) as server:
            chosen = server.getsockname()[1]
    file = _port_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(chosen), encoding="utf-8")


def _hub() -> dict[str, str]:
    here = settings()
    given = {
        "HUB_HOME": here.home,
        "HUB_STATE": here.state,
        "HUB_SECRETS": here.secrets,
        "HUB_KEYS": here.keys,
        "HUB_TIMEZONE": here.timezone,
        **({"HUB_CHECKPOINTS": here.checkpoints} if here.checkpoints else {}),
    }
    return {name: str(value) for name, value in given.items()}


def _airflow() -> dict[str, str]:
    logs = settings().state / "logs" / "airflow"
    database = url(Role.AIRFLOW).render_as_string(hide_password=False)
    return {
        "AIRFLOW_HOME": str(REPOSITORY),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        # One driver for both, and the one that reads libpq's options (sslmode); Airflow's own choice does not.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": settings().timezone,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address()}/execution/",
        "AIRFLOW__API__BASE_URL": address(),
        "AIRFLOW__API__PORT": str(_port()),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(logs / "dag_processor"),
    }


def _secrets() -> dict[str, str]:
    logins = settings().secrets / "airflow_logins.json"
    password = ensure_password("airflow_admin")
    if not logins.exists():
        logins.touch(mode=0o600)
        logins.write_text(json.dumps({ADMINISTRATOR: password}), encoding="utf-8")
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(logins),
        "AIRFLOW__CORE__FERNET_KEY": ensure_password("airflow_fernet") + "=",  # 32 bytes in base64, padded as Fernet wants
        "AIRFLOW__API__SECRET_KEY": ensure_password("airflow_session"),
        # HS512 wants at least 64 bytes (RFC 7518, 3.2), and a password here has 43.
        "AIRFLOW__API_AUTH__JWT_SECRET": ensure_password("airflow_token_1") + ensure_password("airflow_token_2"),
    }


def _quiet() -> dict[str, str]:
    """Keep dependencies from reporting on us, and loopback from going through a proxy."""
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1", "localhost"]))
    return {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "NO_PROXY": direct, "no_proxy": direct}


def _port_file() -> Path:
    return folder() / "port"


def _port() -> int:
    try:
        return int(_port_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return _FAVOURITE_PORT


def _free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
