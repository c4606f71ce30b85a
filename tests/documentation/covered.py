# SPDX-License-Identifier: Apache-2.0


"""What tries each command of the documentation: the one table of it.

A command that is new in the documentation needs a line here. Its value says
how it is tried:

* :class:`Run`: for real, beside two Glances, by
  ``tests/functional/test_documented_commands.py``;
* :class:`Test`: by a test that does the same with names of its own;
* :class:`Checked`: only its words are, by the tool itself, and why;
* :class:`Untried`: why nothing here can try it.
"""

import dataclasses

PLUGIN = '/path/to/glance-copy-plugin'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Run by a shell, as it stands, but for names of images and folders.

    :param says: a regular expression for what it prints
    :param stores: where its image is before, besides the default store
    :param copied: where its image is afterwards, besides
    :param removed: where it is no more afterwards
    :param before: a command of the documentation that comes first
    :param writes: a file that it makes
    """

    says: str = ''
    stores: tuple = ()
    copied: tuple = ()
    removed: tuple = ()
    before: str | None = None
    writes: str | None = None


@dataclasses.dataclass(frozen=True)
class Test:
    """Tried by another test, ``<file>::<name>``."""

    name: str

    # It is no test, whatever pytest thinks of its name.
    __test__ = False


@dataclasses.dataclass(frozen=True)
class Checked:
    """The tool understands it; ``why`` it is not run."""

    why: str


@dataclasses.dataclass(frozen=True)
class Untried:
    """Why it is not tried at all."""

    why: str


_RELEASE = 'tests/release/test_release.py'
_WITH_EXTRAS = Test(
    f'{_RELEASE}::test_the_extras_bring_what_the_drivers_need'
)
_API = Test(
    'tests/functional/test_api_page.py'
    '::test_the_commands_of_the_page_are_answered_as_it_says'
)
_TUTORIAL = 'tests/functional/test_tutorial.py'
_JOBBOARD = 'tests/functional/test_jobboard.py'
_DEVSTACK = 'tests/functional/test_devstack.py'
_MINUTES = Checked('it takes minutes, and the gate runs it')
_A_CLOUD = Checked('it starts or stops a whole OpenStack')
_VOLUMES = Checked('it needs a Cinder')
_ICOMMANDS = Untried(
    "iRODS's own client, which neither Debian nor PyPI has, and a real zone"
)
_IMPORT = (
    'glance image-import <image> --import-method copy-image --stores s1,s2,s3'
)
_DUMP = 'glance-replicate dump north /media/disk/images'
_LIVECOPY = 'glance-replicate livecopy north south --workers 8'

COVERED = {
    # Installing.
    f'pip install {PLUGIN}': Test(f'{_RELEASE}::test_an_image_is_copied'),
    f"pip install '{PLUGIN}[cinder]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[irods]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[replicator]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[s3]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[redis]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[etcd]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[zookeeper]'": _WITH_EXTRAS,
    f"pip install '{PLUGIN}[metrics]'": _WITH_EXTRAS,
    'enable_plugin glance-copy-plugin '
    'https://opendev.org/x/glance-copy-plugin': Test(
        f'{_DEVSTACK}::test_a_stacked_glance_copies_images'
    ),
    'oslo-config-generator --namespace glance_copy_plugin': Run(
        says=r'(?m)^\[copy_image\]\n(.*\n)*#staging_window = '
    ),
    'oslo-config-generator --namespace glance.multi_store': Run(
        says=r'(?m)^\[irods\]$'
    ),
    # With every server that a test starts.
    'glance-manage db sync': Test(
        'tests/functional/test_check.py'
        '::test_a_database_that_is_ready_passes'
    ),
    'glance-copy check --config-dir /etc/glance': Run(
        says=r'\| s1 +\| file +\| True +\| copier file'
    ),
    # Copying.
    _IMPORT: Run(copied=('s1', 's2', 's3')),
    'curl -X POST $GLANCE/v2/images/<image>/import '
    '-H "X-Auth-Token: $TOKEN" -H \'Content-Type: application/json\' '
    '-d \'{"method": {"name": "copy-image"}, "stores": ["s1", "s2", "s3"]}\'':
    Run(copied=('s1', 's2', 's3')),
    'curl -H "X-Auth-Token: $TOKEN" $GLANCE/v2/images/<image>/tasks': Run(
        before=_IMPORT, says='"message": "copied [0-9]+ bytes to s1, s2, s3"'
    ),
    'openstack image copy golden --store archive --wait': Run(
        says='copied', copied=('archive',)
    ),
    'glance stores-delete --store old <image>': Run(
        stores=('old',), removed=('old',)
    ),
    # The page on the API.
    'curl -s -H "X-Auth-Token: $TOKEN" $GLANCE/v2/info/stores': _API,
    'curl -i -X POST -H "X-Auth-Token: $TOKEN" '
    '-H "Content-Type: application/json" '
    '-d \'{"method": {"name": "copy-image"}, "stores": ["s1", "s2"]}\' '
    '$GLANCE/v2/images/$IMAGE/import': _API,
    'curl -i -X POST -H "X-Auth-Token: $TOKEN" '
    '-H "Content-Type: application/json" '
    '-d \'{"method": {"name": "copy-image"}, "stores": ["s3"], '
    '"allow_failure": false}\' $GLANCE/v2/images/$IMAGE/import': _API,
    'curl -i -X POST -H "X-Auth-Token: $TOKEN" '
    '-H "Content-Type: application/json" '
    '-d \'{"method": {"name": "copy-image"}, "stores": ["src"]}\' '
    '$GLANCE/v2/images/$IMAGE/import': _API,
    'curl -i -X POST -H "Content-Type: application/json" '
    '-d \'{"method": {"name": "copy-image"}, "stores": ["s1"]}\' '
    '$GLANCE/v2/images/$IMAGE/import': _API,
    'curl -s -H "X-Auth-Token: $TOKEN" $GLANCE/v2/images/$IMAGE/tasks': _API,
    'curl -s -H "X-Auth-Token: $TOKEN" $GLANCE/v2/images/$IMAGE': _API,
    'curl -i -X DELETE -H "X-Auth-Token: $TOKEN" '
    '$GLANCE/v2/stores/s1/$IMAGE': _API,
    # Auditing.
    'glance-copy audit --config-dir /etc/glance': Run(),
    'glance-copy audit --fix': Run(),
    'glance-copy audit --verify': Run(),
    # Copies by workers.
    'glance-copy-worker --config-dir /etc/glance --workers 4 --concurrency 4':
    Test(f'{_JOBBOARD}::test_a_worker_makes_the_copy_that_was_asked_for'),
    'glance-copy-worker status': Test(
        'tests/functional/test_jobboard_service.py'
        '::test_the_commands_say_what_is_with_the_board'
    ),
    'curl http://127.0.0.1:9409/health': Test(
        'tests/functional/test_jobboard_endpoint.py'
        '::test_it_begins_with_nothing'
    ),
    # Between clouds.
    _LIVECOPY: Run(says='copied'),
    'glance-replicate livecopy north south --workers 8 --tag golden': Run(
        says='copied'
    ),
    'glance-replicate livecopy north south --via-irods '
    '--irods-config south-irods.conf --irods-store archive': Run(
        stores=('archive',), says='copied'
    ),
    'glance-replicate compare north south': Run(before=_LIVECOPY),
    'openstack image replicate compare north south': Run(before=_LIVECOPY),
    'glance-replicate size north --visibility public': Run(says='1048577'),
    _DUMP: Run(says='copied', writes='/media/disk/images/manifest.json'),
    'glance-replicate load south /media/disk/images': Run(
        before=_DUMP, says='copied'
    ),
    'glance-replicate fill archive --server north': Run(
        says='copied', copied=('archive',)
    ),
    'glance-replicate fill archive --server north --dry-run': Run(
        says='would copy'
    ),
    'glance-replicate fill archive --server north --workers 4': Run(
        says='copied', copied=('archive',)
    ),
    'glance-replicate watch 8a0c... --server north': Run(
        before=_IMPORT, says='success'
    ),
    'glance-replicate migrate-locations --config-dir /etc/glance': Run(),
    'glance-replicate migrate-locations --config-dir /etc/glance --dry-run':
    Run(),
    'glance-replicate complete > /etc/bash_completion.d/glance-replicate':
    Run(writes='/etc/bash_completion.d/glance-replicate'),
    # Storage.
    'openstack volume type list': _VOLUMES,
    'openstack volume type list --default': _VOLUMES,
    'openstack volume type create glance-fast '
    '--property volume_backend_name=fast': _VOLUMES,
    'openstack volume set --type glance-slow '
    '--migration-policy on-demand <volume>': _VOLUMES,
    "ceph auth caps client.glance-slow mon 'profile rbd' "
    "mgr 'profile rbd' osd 'profile rbd pool=images-slow, "
    "profile rbd-read-only pool=images-fast'": Test(
        'tests/cloud/test_rbd_copies.py'
        '::test_the_image_does_not_pass_through_glance'
    ),
    'iadmin modrepl logical_path <path> replica_number 0 '
    'DATA_REPL_STATUS 0': _ICOMMANDS,
    'irm -f <path>': _ICOMMANDS,
    'ichmod own glance <collection>': _ICOMMANDS,
    'ils <collection>': _ICOMMANDS,
    'ils -l': _ICOMMANDS,
    # For developers.
    'pip install /path/to/glance-shelf': Test(
        f'{_TUTORIAL}::test_a_glance_copies_an_image_by_a_hard_link'
    ),
    'python -m pytest /path/to/glance-shelf/test_shelf.py': Test(
        f'{_TUTORIAL}'
        '::test_the_store_and_the_copier_pass_the_conformance_suite'
    ),
    'python -m build': Test(
        f'{_RELEASE}::test_the_sdist_has_every_file_of_the_repository'
    ),
    'tox -e functional': _MINUTES,
    'tox -e documented': _MINUTES,
    'tox -e glance2025.2': _MINUTES,
    'make test': _MINUTES,
    'make test-cloud': _MINUTES,
    "CINDER_DRIVER=cinder make test-cloud ARGS='-m fails_with_stock -rx'":
    _MINUTES,
    'make test-unit': _MINUTES,
    'make check-release': _MINUTES,
    'make docs': _MINUTES,
    'make releasenotes': _MINUTES,
    'make pep8': _MINUTES,
    'make demo': Checked('it takes minutes'),
    'make bench': Checked('it takes an hour'),
    'make bench PARTS=clouds': Checked('it takes minutes'),
    'make bench-cloud': Checked('it takes an hour'),
    'make soak': Checked('it takes half an hour'),
    'make soak-workers': Checked('it takes half an hour'),
    'make cloud': _A_CLOUD,
    'make cloud-down': _A_CLOUD,
    'make venv': Checked('the tests run in what it makes'),
    'make services': Checked('it installs packages of Debian'),
    'make diagrams': Checked('it needs Graphviz, and changes the source'),
    'make clean': Checked('it removes what the tests run in'),
}


def of_kind(kind):
    """Return the commands that are tried in that way."""
    return [each for each, how in COVERED.items() if isinstance(how, kind)]
