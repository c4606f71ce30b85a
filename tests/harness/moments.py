# SPDX-License-Identifier: Apache-2.0

"""Moments of a copy at which a test kills a process, or pauses it.

The product knows nothing of this. A process whose environment names a file,
the *switch*, wraps the functions of :data:`MOMENTS` and looks into the file
whenever one of them is called. Copies of the loaded process do so as they
start, and servers that load Glance themselves when they load the token filter
of the tests.
"""

import collections
import dataclasses
import functools
import importlib
import os
import re
import signal
import threading
import typing

VARIABLE = 'COPY_IMAGE_TESTS_SWITCH'
# Within which all threads have stopped.
_AT_MOST_SECONDS = 0.5
_PARTIAL = re.compile(r'/\.[^/]+\.part$')
_SEGMENT = re.compile(r'/copy-image/[^/]+/[0-9a-f]+-\d{6}$')
_FAILED_STORES = 'os_glance_failed_import'

_FLOW = 'glance_copy_plugin.flow.'
_RECORD = 'glance_copy_plugin.records.image_record:ImageRecord.'
_TASK = 'glance_copy_plugin.records.tasks:TaskRecord.'
_TRANSFER = 'glance_copy_plugin.transfer.'


@dataclasses.dataclass(frozen=True)
class Moment:
    """Where a test can kill or pause a process.

    :param function: public function, ``package.module:Class.method``
    :param only: tells from its positional arguments which calls are meant
    """

    function: str
    only: typing.Callable[..., bool] = lambda *_arguments: True
    after: typing.ClassVar[bool]


class Before(Moment):
    """Shortly before a call."""

    after = False


class After(Moment):
    """Shortly after a call that raised nothing."""

    after = True


def _partial_path(path, *_others):
    return _matches(_PARTIAL, path)


def _partial_file(fd):
    return _matches(_PARTIAL, _path_of(fd))


def _segment_path(path, *_others):
    return _matches(_SEGMENT, path)


def _segment_file(fd, *_others):
    return _matches(_SEGMENT, _path_of(fd))


def _matches(pattern, path):
    return bool(pattern.search(os.fsdecode(path)))


def _path_of(fd):
    return os.readlink(f'/proc/self/fd/{fd}')


def _failed_stores(_session, _image_id, name, _stores):
    return name == _FAILED_STORES


MOMENTS = {
    # A request is answered.
    'accept-judged': Before(
        'glance_copy_plugin.ownership.journal:Journal.claim'
    ),
    'accept-claimed': Before('glance_copy_plugin.api.forward_request:ask'),
    'flow-asked': Before(
        'glance_copy_plugin.ownership.file_lease:FileLease.begin'
    ),
    'posted': After('glance_copy_plugin.jobboard.posting:post_task'),
    'accept-answered': After('glance_copy_plugin.api.forward_request:ask'),
    # The copy begins.
    'begin-called': Before(_RECORD + 'begin'),
    'begin-recorded': After(_RECORD + 'begin'),
    'begin-started': After(_FLOW + 'copy_run:CopyRun.start'),
    'plan-called': Before(_FLOW + 'planning:make_plan'),
    'plan-made': After(_FLOW + 'planning:make_plan'),
    # The image is staged.
    'stage-started': After(_FLOW + 'copy_staging:CopyStaging.start'),
    'stage-read': Before(_TRANSFER + 'digests:Digests.update'),
    'spool-borrowed': After(_TRANSFER + 'spool:Spool.borrow'),
    'spool-segment-made': After('os:open', _segment_path),
    'spool-written': After('os:pwrite', _segment_file),
    'stage-complete': Before(_TRANSFER + 'digests:Expected.check'),
    'stage-approved': After(_TRANSFER + 'spool:Spool.approve'),
    # A store gets it.
    'import-called': Before(_FLOW + 'writing:StoreWriter.write'),
    'stream-read': After(_TRANSFER + 'staged_reader:StagedReader.read'),
    'stream-added': After('glance_store:add_with_multihash'),
    'file-created': After('os:open', _partial_path),
    'file-copied': After(
        'glance_copy_plugin.backends.file_io:WriteBehind.wrote'
    ),
    'file-filled': Before('os:fsync', _partial_file),
    'file-synced': After('os:fsync', _partial_file),
    'file-renamed': After('os:rename', _partial_path),
    'import-written': After(_FLOW + 'writing:StoreWriter.write'),
    # While the image's row is locked.
    'record-uncommitted': After(
        'glance_copy_plugin.records.rows:set_stores', _failed_stores
    ),
    'import-recorded': After(_RECORD + 'store_done'),
    'import-acls-set': After('glance_copy_plugin.backends.drivers:set_acls'),
    'import-notified': After(
        'glance_copy_plugin.records.notifications:Notifications.upload'
    ),
    # It goes out of the store again.
    'take-back-unrecorded': After(_RECORD + 'remove_location'),
    'take-back-removed': After(_FLOW + 'importing:StoreImport.take_back'),
    # The copy ends, well or not.
    'conclude-called': Before(_FLOW + 'copy_tasks:ConcludeCopy.execute'),
    'conclude-confirmed': After(_FLOW + 'copy_tasks:ConcludeCopy.execute'),
    'complete-called': Before(_FLOW + 'copy_run:CopyRun.close'),
    'complete-closed': After(_FLOW + 'copy_run:CopyRun.close'),
    'complete-unlocked': Before(_TASK + 'succeed'),
    'complete-task-ended': After(_TASK + 'succeed'),
    'complete-forgotten': Before(
        'glance_copy_plugin.reconcile.late_saves:look_after'
    ),
    'fail-called': Before(_FLOW + 'abort:end_failed_copy'),
    'fail-unlocked': Before(_TASK + 'fail'),
    'fail-task-ended': After(_TASK + 'fail'),
}


def environment(switch):
    """Return the variables for a process that looks into the file."""
    return {VARIABLE: str(switch)}


def order(switch, place, *, pause=False):
    """Have whichever process comes to a moment first kill itself.

    It removes the file just before.

    :param switch: path of the file
    :param place: ``name``, or ``name:3`` for the third time that a process
        comes there
    :param pause: have it stop (SIGSTOP) instead of die (SIGKILL)
    :raises LookupError: if there is no such moment
    """
    name, _, count = place.partition(':')
    if name not in MOMENTS:
        raise LookupError(f'{name} is not in {__name__}.MOMENTS')
    # At once with all that is in it: a process may be reading.
    draft = switch.with_name(f'{switch.name}.draft')
    number = signal.SIGSTOP if pause else signal.SIGKILL
    draft.write_text(f'{name}:{count or 1}:{number:d}')
    draft.replace(switch)


@functools.cache
def install():
    """Wrap the functions, if the environment of this process asks for it."""
    path = os.environ.get(VARIABLE)
    if path is None:
        return
    switch = _Switch(path)
    for name, moment in MOMENTS.items():
        holder, attribute = find(moment.function)
        function = getattr(holder, attribute)
        setattr(holder, attribute, _wrapped(function, moment, name, switch))


def find(function):
    """Return the module or class that a function is in, and its name there.

    :param function: as :class:`Moment` has it
    :raises LookupError: if it is not there any more
    """
    module, _, path = function.partition(':')
    *outer, name = path.split('.')
    try:
        holder = functools.reduce(
            getattr, outer, importlib.import_module(module)
        )
        getattr(holder, name)
    except (ImportError, AttributeError) as exc:
        raise LookupError(
            f'{function} cannot be found, at which tests kill processes: '
            f'say in {__name__}.MOMENTS what takes its place ({exc})'
        ) from exc
    return holder, name


def _wrapped(function, moment, name, switch):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        meant = moment.only(*args)
        if meant and not moment.after:
            switch.reached(name)
        result = function(*args, **kwargs)
        if meant and moment.after:
            switch.reached(name)
        return result

    return wrapper


class _Switch:
    """The file, as seen from a process that may have to kill itself."""

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        self._seen = collections.Counter()

    def reached(self, name):
        """The process has come to a moment."""
        try:
            with open(self._path, encoding='ascii') as file:
                text = file.read()
        except FileNotFoundError:
            return
        wanted, count, number = text.split(':')
        if wanted != name:
            return
        with self._lock:
            self._seen[text] += 1
            if self._seen[text] < int(count):
                return
            self._seen.clear()
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                # Another process was the first.
                return
            os.kill(os.getpid(), int(number))
            # The signal may reach another thread first, and this one later.
            threading.Event().wait(_AT_MOST_SECONDS)
