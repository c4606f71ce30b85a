# SPDX-License-Identifier: Apache-2.0

"""Looking at a spool as its followers do, and as the disk does."""

from glance_copy_plugin.transfer import staged_reader


def files(folder):
    return sorted(folder.iterdir()) if folder.exists() else []


def held(folder):
    """Return how many bytes the staging folder holds on the disk."""
    total = 0
    for path in files(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            """Removed between the two looks."""
    return total


def half_spilled(spool_of, content, size=None, **options):
    """Return a spool that has half of what it holds on the disk.

    ``quick`` has taken all of it, ``slow`` nothing.
    """
    half = len(content) // 2
    spooled = spool_of(
        size or len(content), followers=('quick', 'slow'), memory=half,
        **options,
    )
    for part in (content[:half], content[half:]):
        spooled.write(part)
        assert spooled.follower('quick').take(len(part)) == part
    return spooled


def read_all(spooled, name, step):
    """Read as a driver does, in steps of ``step``; then stop following."""
    follower = spooled.follower(name)
    source = staged_reader.StagedReader(follower)
    try:
        read = b''.join(iter(lambda: source.read(step), b''))
        assert source.finished
        return read
    finally:
        follower.close()
