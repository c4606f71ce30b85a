# SPDX-License-Identifier: Apache-2.0
"""The jobs of the gate: what they name is there."""

import configparser
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.glob('playbooks/**/*.yaml')
)
# Jobs of other projects: opendev/base-jobs, openstack/openstack-zuul-jobs and
# openstack/tempest.
ELSEWHERE = {
    'base', 'devstack-tempest', 'openstack-tox', 'openstack-tox-docs',
    'openstack-tox-pep8', 'openstack-tox-py311', 'openstack-tox-py312',
    'openstack-tox-py313',
}
TEMPLATES = {'release-notes-jobs-python3'}
# Some tests of Tempest 47: of copies, of volumes, and of neither.
COPIES = (
    'glance_copy_plugin_tempest.tests.test_copies.CopiesTest'
    '.test_an_image_is_copied_to_every_store_that_is_named',
    'tempest.api.image.v2.admin.test_images.ImportCopyImagesTest'
    '.test_image_copy_image_import',
)
VOLUMES = (
    'tempest.api.volume.test_volumes_actions.VolumesActionsTest'
    '.test_volume_upload',
)
OTHERS = (
    'tempest.api.volume.test_volumes_get.VolumesGetTest'
    '.test_volume_create_get_update_delete',
)


def load(path):
    return yaml.safe_load((ROOT / path).read_text())


@pytest.fixture(scope='module')
def jobs():
    """The jobs of .zuul.yaml, as ``{name: job}``."""
    defined = [item['job'] for item in load('.zuul.yaml') if 'job' in item]
    assert len({job['name'] for job in defined}) == len(defined)
    return {job['name']: job for job in defined}


@pytest.fixture(scope='module')
def project():
    (found,) = (
        item['project'] for item in load('.zuul.yaml') if 'project' in item
    )
    return found


@pytest.fixture(scope='module')
def tox():
    """The environments that tox.ini describes."""
    parser = configparser.RawConfigParser()
    parser.read(ROOT / 'tox.ini')
    return {
        name.partition(':')[2] for name in parser.sections()
        if name.startswith('testenv:')
    }


def names(pipeline):
    return [
        entry if isinstance(entry, str) else next(iter(entry))
        for entry in pipeline['jobs']
    ]


def test_every_job_that_is_named_exists(jobs, project):
    for job in jobs.values():
        assert job['parent'] in ELSEWHERE | set(jobs)
    for pipeline in (project['check'], project['gate']):
        assert set(names(pipeline)) <= ELSEWHERE | set(jobs)
        assert len(names(pipeline)) == len(set(names(pipeline)))
    assert set(project['templates']) <= TEMPLATES


def test_every_job_that_is_defined_is_run(jobs, project):
    run = set(names(project['check']))
    assert run == set(names(project['gate']))
    abstract = {name for name, job in jobs.items() if job.get('abstract')}
    assert set(jobs) - abstract <= run
    assert not abstract & run


def test_every_playbook_that_is_named_is_there_and_used(jobs):
    named = {
        job[phase] for job in jobs.values()
        for phase in ('pre-run', 'run', 'post-run') if phase in job
    }
    assert sorted(named) == PLAYBOOKS


@pytest.mark.parametrize('playbook', PLAYBOOKS)
def test_a_command_of_a_playbook_is_there(playbook):
    makefile = (ROOT / 'Makefile').read_text()
    for play in load(playbook):
        for task in play['tasks']:
            command = task.get('ansible.builtin.command', {}).get('cmd')
            if command is None:
                continue
            program, first, *_ = command.split()
            if program == 'make':
                assert f'\n{first}: ' in makefile
            elif program == 'glance-copy':
                assert f'\n    {first} = ' in (ROOT / 'setup.cfg').read_text()
            else:
                assert (ROOT / program).is_file()


def test_every_environment_of_tox_that_is_named_exists(jobs, project, tox):
    for name in names(project['check']):
        if name in jobs:
            job = jobs[name]
            if job['parent'] not in (
                'openstack-tox', 'glance-copy-plugin-compatibility'
            ):
                continue
            environment = job['vars']['tox_envlist']
        else:
            environment = name.removeprefix('openstack-tox-')
        assert environment in tox or re.fullmatch(r'py3\d+', environment)


def test_what_the_jobs_set_for_devstack_is_known_there(jobs):
    settings = (ROOT / 'devstack' / 'settings').read_text()
    seen = set()
    for job in jobs.values():
        for variable in job.get('vars', {}).get('devstack_localrc', {}):
            if variable.startswith(('GLANCE_COPY_', 'COPY_IMAGE_')):
                seen.add(variable)
                assert f'\n{variable}=' in settings
    assert {'GLANCE_COPY_CINDER_BACKENDS', 'COPY_IMAGE_JOBBOARD'} <= seen


@pytest.mark.parametrize('job, wanted', [
    ('glance-copy-plugin-tempest', COPIES),
    ('glance-copy-plugin-tempest-cinder-multistore', COPIES + VOLUMES),
])
def test_the_tests_of_tempest_that_matter_are_chosen(jobs, job, wanted):
    chosen = re.compile(jobs[job]['vars']['tempest_test_regex'])
    for test in COPIES + VOLUMES + OTHERS:
        # stestr searches in the name with the test's attributes.
        found = chosen.search(f'{test}[id-0,smoke]')
        assert bool(found) == (test in wanted)
