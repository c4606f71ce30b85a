# SPDX-License-Identifier: Apache-2.0

"""A small client of the v2 API, for tests, the demo and the benchmark."""

import io
import time

import requests

ADMIN = 'admin:admin:admin,member,reader'
MEMBER = 'alice:demo:member,reader'
ENDED = ('success', 'failure')


class RequestFailed(Exception):
    """Glance refused a request that a helper method needs."""


class Client:
    """Speaks to one Glance as one user.

    :param server: a ``GlanceServer``
    :param token: who asks, as ``user:project:role,role``
    """

    def __init__(self, server, token=ADMIN):
        self.server = server
        self.token = token
        self.session = requests.Session()
        self.session.trust_env = False
        # A server may close one that is kept at the moment of a request.
        self.session.headers['Connection'] = 'close'

    def as_user(self, token):
        """Return a client of the same Glance for another user."""
        return Client(self.server, token)

    def request(
        self, method, path, *, json=None, data=None, headers=None, token=None
    ):
        """Send one request to ``/v2`` + path; return the answer as it is."""
        return self.session.request(
            method,
            f'{self.server.url}/v2{path}',
            json=json,
            data=data,
            headers={'X-Auth-Token': token or self.token, **(headers or {})},
            timeout=600,
        )

    def demand(self, method, path, **kwargs):
        """Send a request that must succeed; return the answer."""
        answer = self.request(method, path, **kwargs)
        if answer.status_code >= 400:
            text = f'{method} {path}: {answer.status_code} {answer.text[:500]}'
            if answer.status_code >= 500:
                text += f'\nGlance\'s log:\n{self.server.log_end(40)}'
            raise RequestFailed(text)
        return answer

    def new_image(self, **properties):
        """Make an image record without data; return its id."""
        body = {
            'name': 'test',
            'disk_format': 'raw',
            'container_format': 'bare',
            **properties,
        }
        return self.demand('POST', '/images', json=body).json()['id']

    def upload(self, image_id, data, store=None):
        """Upload the data (bytes, or the path of a file) of an image."""
        headers = {'Content-Type': 'application/octet-stream'}
        if store:
            headers['X-Image-Meta-Store'] = store
        given = isinstance(data, bytes)
        with io.BytesIO(data) if given else open(data, 'rb') as stream:
            self.demand(
                'PUT', f'/images/{image_id}/file', data=stream, headers=headers
            )

    def create_image(self, data, store=None, **properties):
        """Make an image with data (bytes or a path); return its id."""
        image_id = self.new_image(**properties)
        self.upload(image_id, data, store)
        return image_id

    def image(self, image_id):
        """Return the image as the API shows it."""
        return self.demand('GET', f'/images/{image_id}').json()

    def patch(self, image_id, *changes):
        """Change an image; a change is {op, path, value}."""
        kind = 'application/openstack-images-v2.1-json-patch'
        return self.demand(
            'PATCH',
            f'/images/{image_id}',
            json=list(changes),
            headers={'Content-Type': kind},
        ).json()

    def download(self, image_id):
        """Return an image's data."""
        return self.demand('GET', f'/images/{image_id}/file').content

    def delete(self, image_id, store=None):
        """Delete an image, or only its copy in one store."""
        where = f'/stores/{store}' if store else '/images'
        self.demand('DELETE', f'{where}/{image_id}')

    def stores(self, image_id):
        """Return the stores that the image says it is in, sorted.

        Glance gives them as the database does: in any order.
        """
        said = self.image(image_id)['stores']
        return sorted(store for store in said.split(',') if store)

    def tasks(self, image_id):
        """Return the image's tasks, oldest first."""
        tasks = self.demand('GET', f'/images/{image_id}/tasks').json()['tasks']
        return sorted(tasks, key=lambda task: task['created_at'])

    def copy(self, image_id, stores=None, *, token=None, **body):
        """Ask for a copy; return the answer, whatever it is.

        :param stores: goes into the body as it is, unless it is None
        :param body: further keys, such as ``all_stores_must_succeed``
        """
        content = {'method': {'name': 'copy-image'}, **body}
        if stores is not None:
            content['stores'] = stores
        path = f'/images/{image_id}/import'
        return self.request('POST', path, json=content, token=token)

    def copy_task(self, image_id):
        """Return the id of the task that holds the image, if any does."""
        return self.image(image_id).get('os_glance_import_task')

    def wait_copy(self, image_id, task_id=None, timeout=120, interval=0.05):
        """Wait until a copy has ended; return its task.

        This looks into the database: asking the API as often can make
        Glance's executor drop a new task on SQLite.

        :param task_id: the task; the image's newest one by default
        :param timeout: seconds until this gives up with ``TimeoutError``
        :param interval: seconds between two looks
        """
        deadline = time.monotonic() + timeout
        while True:
            tasks = self.server.tasks(image_id)
            if task_id:
                tasks = [task for task in tasks if task['id'] == task_id]
            if tasks and tasks[-1]['status'] in ENDED:
                return self.task(image_id, tasks[-1]['id'])
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f'the copy of image {image_id} has not ended after '
                    f'{timeout} s; its tasks: {tasks}'
                )
            time.sleep(interval)

    def task(self, image_id, task_id):
        """Return one of the image's tasks as the API shows it."""
        tasks = {task['id']: task for task in self.tasks(image_id)}
        return tasks[task_id]

    def copy_and_wait(self, image_id, stores=None, timeout=120, **body):
        """Copy an image, which must be accepted; return the ended task."""
        known = {task['id'] for task in self.server.tasks(image_id)}
        answer = self.copy(image_id, stores, **body)
        if answer.status_code != 202:
            raise RequestFailed(f'{answer.status_code} {answer.text[:500]}')
        tasks = self.server.tasks(image_id)
        new = [task for task in tasks if task['id'] not in known]
        return self.wait_copy(image_id, new[-1]['id'], timeout)

    def wait_unlocked(self, image_id, timeout=120):
        """Wait until no task holds the image; return the image."""
        deadline = time.monotonic() + timeout
        while self.copy_task(image_id):
            if time.monotonic() > deadline:
                raise TimeoutError(f'image {image_id} is still locked')
            time.sleep(0.05)
        return self.image(image_id)

    def locations(self, image_id):
        """Return the image's locations from the database of the server."""
        return self.server.locations(image_id)
