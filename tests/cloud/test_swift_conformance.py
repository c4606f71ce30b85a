# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on Swift: written whole, in segments, and copied."""

import dataclasses

import pytest

from glance_copy_plugin.backends import swift_container
from glance_copy_plugin.backends import swift_copier
from glance_copy_plugin.backends import swift_streams
from tests.cloud import containers
from tests.parts import data
from tests.stores import conformance
from tests.stores import reading
from tests.stores import server_side

IMAGE_ID, MIB = conformance.IMAGE_ID, 1024 ** 2
MB = 1000 * 1024  # as glance_store's driver counts


class TestWriting(
    containers.InContainers, reading.ReadingConformance,
    conformance.StoreConformance,
):
    """In one go, as what is smaller than what the driver calls large."""

    writer = swift_streams.SwiftWriter()
    large = 100

    def test_what_swift_says_that_it_has_written_is_compared(
        self, make, source, copy, monkeypatch
    ):
        target, put = make('s1'), swift_container.Container.put
        monkeypatch.setattr(swift_container.Container, 'put', lambda *what: (
            dataclasses.replace(put(*what), etag='0' * 32)
        ))
        error = self.fail(copy([target], [source(conformance.IMAGE)]), target)
        assert 'something else than the image' in error.reason


class TestWritingSegments(TestWriting):
    """Images of the suite are larger than one segment."""

    large = 5

    @pytest.mark.parametrize('size', [
        2 * MB, 5 * MB - 1, 5 * MB, 6 * MB - 1, 6 * MB, 6 * MB + 1,
    ])
    def test_segments_of_any_size_make_the_image(
        self, make, source, copy, size
    ):
        content = data.some(size)
        self.succeed(
            copy([target := make('s1')], [source(content)], content), target,
            content=content,
        )
        parts = -(-size // (2 * MB)) if size >= 5 * MB else 0
        assert len(target.container.keys()) == 1 + parts

    def test_segments_of_an_upload_that_died_are_not_taken_for_the_images(
        self, make, source, copy
    ):
        target = make('s1')
        target.container.put_segments(IMAGE_ID, data.some(9 * MIB), MIB)
        copied = copy([target], [source(conformance.IMAGE)])
        copied.run()
        assert copied.errors == {}
        assert target.read(copied.stored['s1'].url) == conformance.IMAGE


    def test_a_swift_without_static_manifests_says_so(
        self, make, source, copy, monkeypatch
    ):
        target = make('s1')
        monkeypatch.setattr(
            swift_container.Container, 'most_segments', lambda container: 0
        )
        error = self.fail(copy([target], [source(conformance.IMAGE)]), target)
        assert 'add slo to the pipeline' in error.reason

    def test_a_manifest_that_became_the_image_does_not_stay(
        self, make, source, copy, monkeypatch
    ):
        """As in a Swift that hides what it can, and cannot do this."""
        target = make('s1')
        monkeypatch.setattr(
            swift_container.Container, 'put_manifest',
            lambda container, key, segments: container.put(key, b'[{}]', 4),
        )
        error = self.fail(copy([target], [source(conformance.IMAGE)]), target)
        assert 'has not made an image of its segments' in error.reason


class TestCopyingAndReadingBack(
    containers.InContainers, server_side.ServerSideConformance
):
    copier = swift_copier.SwiftCopier()
    writer = swift_streams.SwiftWriter()
    verify = 'full'


class TestCopying(containers.InContainers, server_side.ServerSide):
    """Images that are one object stay one; the server tells its md5."""

    copier = swift_copier.SwiftCopier()

    @pytest.mark.parametrize('size', [0, 1, MIB])
    def test_an_object_of_any_size_is_copied(self, make, source, copy, size):
        content, target = data.some(size), make('s1')
        self.succeed(
            copy([target], [source(content)], content), target,
            content=content,
        )
        assert target.container.keys() == [IMAGE_ID]

    def test_a_full_container_says_so_and_keeps_nothing(
        self, make_full, source, copy
    ):
        error = self.fail(
            copy([target := make_full('s1')], [source(conformance.IMAGE)]),
            target,
        )
        assert 'no space left: the quota of the container' in error.reason

    def test_a_copy_with_another_md5_does_not_stay(
        self, make, source, copy, monkeypatch
    ):
        held, target = source(conformance.IMAGE), make('s1')
        find = swift_container.Container.find

        def find_other(container, key):
            found = find(container, key)
            return found and dataclasses.replace(found, etag='0' * 32)

        monkeypatch.setattr(swift_container.Container, 'find', find_other)
        error = self.fail(copy([target], [held]), target)
        assert 'another ETag' in error.reason


class TestCopyingSegments(containers.InContainers, server_side.ServerSide):
    """Images that glance_store's driver or another tool has segmented."""

    copier = swift_copier.SwiftCopier()
    writer = swift_streams.SwiftWriter()
    content = data.some(5 * MIB + 1)

    def copied(self, make, copy, put, verify='backend'):
        origin, target = make('origin'), make('s1')
        held = self.held(origin, put(origin.container))
        before = origin.objects()
        copied = copy([target], [held], self.content, verify=verify)
        self.succeed(copied, target, content=self.content)
        assert origin.objects() == before
        return target.container

    @pytest.mark.parametrize('verify', ['backend', 'full'])
    def test_a_dynamic_manifest_is_copied_segment_by_segment(
        self, make, copy, verify
    ):
        made = self.copied(make, copy, lambda container: (
            container.put_dynamic(IMAGE_ID, self.content, 2 * MIB)
        ), verify)
        assert len(made.keys()) == 4
        assert made.head(IMAGE_ID)['x-static-large-object'] == 'True'

    def test_a_static_manifest_is_copied_segment_by_segment(
        self, make, copy
    ):
        def put(container):
            container.put_segments('of-a-tool', self.content, 3 * MIB)
            return container.put_static(IMAGE_ID, [
                {'path': f'/{container.name}/of-a-tool-{number:05}'}
                for number in (1, 2)
            ])

        assert len(self.copied(make, copy, put).keys()) == 3

    def test_a_manifest_of_parts_of_segments_is_not_copied_by_the_server(
        self, make, copy, caplog
    ):
        def put(container):
            container.put('some', self.content[:4 * MIB])
            container.put('more', bytes(7) + self.content[4 * MIB:])
            return container.put_static(IMAGE_ID, [
                {'path': f'/{container.name}/some'},
                {'path': f'/{container.name}/more', 'range': '7-'},
            ])

        caplog.set_level('INFO')
        self.copied(make, copy, put)
        assert 'more than whole segments' in caplog.text

    def test_a_segment_that_is_missing_is_noticed(self, make, copy):
        origin, target = make('origin'), make('s1')
        url = origin.container.put_dynamic(IMAGE_ID, self.content, 2 * MIB)
        origin.container.remove(f'{IMAGE_ID}-00002')
        self.fail(
            copy([target], [self.held(origin, url)], self.content), target
        )

    @pytest.mark.parametrize(('last', 'size'), [
        ('copy', MIB), ('put_manifest', 5 * MIB + 1),
    ])
    def test_what_was_made_while_its_answer_was_lost_does_not_stay(
        self, make, copy, monkeypatch, last, size
    ):
        made, kind = [], swift_container.Container
        work = getattr(kind, last)

        def lose(*arguments):
            work(*arguments)
            made.extend(target.container.keys())
            raise ConnectionResetError('the connection was reset')

        origin, target = make('origin'), make('s1')
        content = self.content[:size]
        put = origin.plant if last == 'copy' else (
            lambda *what: origin.container.put_dynamic(*what, 2 * MIB)
        )
        held = self.held(origin, put(IMAGE_ID, content))
        monkeypatch.setattr(kind, last, lose)
        self.fail(copy([target], [held], content), target)
        assert IMAGE_ID in made
