"""The embedded server's configuration files: written anew at each start, so this page is what is in force."""

import os
from pathlib import Path

# Only the socket, only with a password. The folder of the socket is closed to other users besides.
ACCESS = """\
# Written by the hub at each start.
local all all scram-sha-256
local replication hub_backup scram-sha-256
"""

_SETTINGS = """\
# Written by the hub at each start; edits are lost.

# One private socket, no TCP.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
password_encryption = scram-sha-256

# A machine of two cores.
max_connections = 100
shared_buffers = 256MB
work_mem = 64MB
maintenance_work_mem = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = off  # pglz costs more than it saves: indexing a first load of a million rows took 4.8 s with it, 3.1 without
random_page_cost = 1.1  # a disk without moving parts
dynamic_shared_memory_type = {shared_memory}
jit = off

# Values stay out of the log: no statements, no parameters, no details, and, as the primary message of an
# error quotes values too ("invalid input syntax for type date: ..."), no statement's errors at all.
# `log` ranks above ERROR in log_min_messages (PostgreSQL 18, table 19.2): startup, checkpoints, FATAL and PANIC remain.
log_min_messages = log
log_statement = none
log_min_duration_statement = -1
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse

logging_collector = on
log_directory = '{logs}'
log_filename = 'postgres-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_line_prefix = '%m [%p] %u@%d %a '
log_timezone = 'UTC'
timezone = 'UTC'
lc_messages = 'C'
"""

_ROOMY = 1 << 30


def server_settings(socket: Path, logs: Path) -> str:
    """Return ``postgresql.conf`` for a server that listens in *socket* and logs into *logs*."""
    return _SETTINGS.format(socket=_quoted(socket), logs=_quoted(logs), shared_memory=_shared_memory())


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _shared_memory() -> str:
    """Parallel plans need /dev/shm; a container often has 64 MB of it, and then a file must do."""
    try:
        space = os.statvfs("/dev/shm")  # noqa: S108 (only measured)
    except OSError:
        return "posix"  # no such folder (macOS): shm_open needs none
    return "posix" if space.f_frsize * space.f_blocks >= _ROOMY else "mmap"
