# SPDX-License-Identifier: Apache-2.0

"""The demonstration: copy one image in a real Glance, then compare.

Into three file stores first, then from one iRODS store to another.

Everything happens in ``.demo``. The image of the environment variable
``IMAGE`` is used, or one is made; ``KEEP=1`` keeps the copies afterwards.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.parse
import uuid

import rich.box
import rich.console
import rich.table

from tests.harness import ADMIN
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import RequestFailed
from tests.harness import ServerError
from tools import images
from tools import live
from tools import watch
from tools import zone as zone_

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / '.demo'
DEFAULT_SIZE = 512 * images.MIB
TARGETS = ('s1', 's2', 's3')


class DemoFailed(Exception):
    """What went wrong, in one sentence."""


def main():
    """Run the demonstration; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demonstrate()
    except (DemoFailed, RequestFailed, ServerError, TimeoutError) as error:
        sentence = str(error).partition(', which ends with:')[0]
        print(f'\nThe demonstration failed: {sentence}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nInterrupted; everything is stopped.', file=sys.stderr)
        return 130
    return 0


def demonstrate():
    """Copy with the plugin, check every copy, copy again with stock."""
    given = chosen_image()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    try:
        image = given or default_image()
        size = image.stat().st_size
        need(size * (4 + len(TARGETS)))
        with zone_.Zone(FOLDER / 'irods') as zone:
            seen = compare(image, str(uuid.uuid4()), zone)
    finally:
        if not os.environ.get('KEEP'):
            shutil.rmtree(FOLDER / 'glance' / 'stores', ignore_errors=True)
            shutil.rmtree(FOLDER / 'irods', ignore_errors=True)
            (FOLDER / 'image.raw').unlink(missing_ok=True)
    report(size, seen)


def compare(image, image_id, zone):
    """Let both make the same copies; return what was seen of each."""
    options = {'backends': zone.backends, 'settings': zone.settings}
    seen = {}
    for plugin in (True, False):
        with GlanceServer(
            FOLDER / 'glance', plugin=plugin, **options
        ) as server:
            name = 'Glance with the plugin' if plugin else 'Stock Glance'
            say(f'{name} answers at {server.url}')
            if plugin:
                upload(server, image_id, image)
            files = copy_and_check(server, image_id, TARGETS, zone)
            if plugin:
                say('Into an iRODS zone')
                copy_and_check(server, image_id, [zone_.ARCHIVE], zone)
            drop(server, image_id, TARGETS if plugin else ('src', *TARGETS))
            say('From one iRODS store to another')
            before = zone.passed
            objects = copy_and_check(server, image_id, [zone_.VAULT], zone)
            passed = zone.passed - before
            print(f'  {images.show_size(passed)} of it passed through Glance')
            drop(server, image_id, [zone_.VAULT])
        seen[plugin] = files, objects
    return seen


def say(text):
    """Print a heading."""
    print(f'\n== {text}', flush=True)


def chosen_image():
    """Return the file that the user chose, or None."""
    name = os.environ.get('IMAGE')
    if not name:
        return None
    path = pathlib.Path(name).expanduser().resolve()
    if not path.is_file() or not os.access(path, os.R_OK):
        raise DemoFailed(f'IMAGE={name} is not a file that can be read.')
    if not path.stat().st_size:
        raise DemoFailed(f'IMAGE={name} is empty.')
    if path.is_relative_to(FOLDER):
        raise DemoFailed(f'IMAGE={name} is in {FOLDER}, which is emptied.')
    return path


def default_image():
    """Make an image in the demonstration's folder."""
    path = FOLDER / 'image.raw'
    need(DEFAULT_SIZE)
    say(f'Making an image of {images.show_size(DEFAULT_SIZE)}: {path}')
    images.make_image(path, DEFAULT_SIZE)
    return path


def need(count):
    """Demand ``count`` bytes of free space for the image and its copies."""
    free = shutil.disk_usage(FOLDER).free
    if free < count + 100 * images.MIB:
        raise DemoFailed(
            f'it needs {images.show_size(count)} in {FOLDER}, where only '
            f'{images.show_size(free)} are free.'
        )


def glance(server, *arguments):
    """Start the real glance client; return the process."""
    program = pathlib.Path(sys.executable).with_name('glance')
    print('$ glance ' + ' '.join(arguments), flush=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith('OS_')
    }
    return subprocess.Popen(
        [program, '--os-image-url', server.url, '--os-auth-token', ADMIN,
         *arguments],
        # The client keeps schemas in the home directory.
        env={**environment, 'no_proxy': '127.0.0.1', 'HOME': str(FOLDER)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def demand(process):
    """Wait for the glance client, which must succeed."""
    output, _ = process.communicate()
    if process.returncode:
        lines = output.strip().splitlines() or ['no output']
        raise DemoFailed(f'the glance client says: {lines[-1]}')


def upload(server, image_id, image):
    """Upload the image into the default store with the glance client."""
    form = images.disk_format(image)
    demand(glance(
        server, 'image-create', '--id', image_id, '--name', 'demo',
        '--disk-format', form, '--container-format', 'bare',
        '--file', str(image),
    ))


def drop(server, image_id, stores):
    """Remove the image from these stores."""
    client = Client(server)
    for store in stores:
        client.delete(image_id, store)


def copy_and_check(server, image_id, stores, zone):
    """Copy, and compare what the stores have; return what was seen."""
    seen = copy(server, image_id, stores)
    check(server, image_id, stores, seen, zone)
    return seen


def copy(server, image_id, stores):
    """Copy the image with the glance client and show how it goes."""
    os.sync()
    with live.display() as display:
        follower = watch.Watch(
            Client(server), image_id, stores, display.show, server.plugin
        )
        asking = glance(
            server, 'image-import', image_id,
            '--import-method', 'copy-image', '--stores', ','.join(stores),
        )
        try:
            seen = follower.follow(lambda: asking.poll() is None)
            demand(asking)
        finally:
            asking.kill()
            asking.wait()
    if seen is None:
        raise DemoFailed('the copy was accepted, but there is no task.')
    if seen.status != 'success':
        raise DemoFailed(f'the copy failed: {seen.message}')
    return seen


def check(server, image_id, stores, seen, zone):
    """Compare every copy with the image's own hash; print a table."""
    image = Client(server).image(image_id)
    algorithm = image['os_hash_algo']
    table = rich.table.Table(box=rich.box.SIMPLE)
    for title in ('Store', 'Location', 'Bytes', algorithm, 'Same', 'Seconds'):
        table.add_column(title, overflow='fold')
    wrong = []
    found = {place['store']: place for place in server.locations(image_id)}
    for store in stores:
        if store not in found:
            raise DemoFailed(f'the image has no location in {store}.')
        url = found[store]['url']
        path = file_of(url, zone)
        size = path.stat().st_size
        digest = images.file_hash(path, algorithm)
        same = (size, digest) == (image['size'], image['os_hash_value'])
        if not same:
            wrong.append(store)
        seconds = seen.appeared.get(store, seen.seconds)
        table.add_row(
            store, shown(url), str(size), digest[:16],
            'yes' if same else 'NO', f'{seconds:.2f}',
        )
    terminal = sys.stdout.isatty()
    rich.console.Console(width=None if terminal else 160).print(table)
    if wrong:
        raise DemoFailed(
            f'the copy in {", ".join(wrong)} differs from the image.'
        )


def file_of(url, zone):
    """Return the file that holds what is at a location."""
    if url.startswith('irods:'):
        return zone.file_of(url)
    return pathlib.Path(urllib.parse.urlparse(url).path)


def shown(url):
    """Shorten a location inside the checkout."""
    return url.replace(f'file://{ROOT}/', 'file://…/')


def report(size, seen):
    """Print how long the copies took.

    :param seen: {with the plugin: (into file stores, inside iRODS)}
    """
    for number, what in enumerate((
        f'to {len(TARGETS)} file stores', 'from iRODS to iRODS',
    )):
        plugin, stock = seen[True][number], seen[False][number]
        say(f'{images.show_size(size)} {what}')
        print(f'  with the plugin  {plugin.seconds:8.2f} s')
        print(f'  stock Glance     {stock.seconds:8.2f} s')
        times = stock.seconds / plugin.seconds
        print(f'  stock takes {times:.1f} times as long.')
    print(f'\n  Log and configuration: {FOLDER / "glance"}')


if __name__ == '__main__':
    sys.exit(main())
