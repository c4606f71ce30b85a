# SPDX-License-Identifier: Apache-2.0

"""What lies in a bucket, unfinished uploads included."""

from concurrent import futures
import socket
import uuid

import botocore.exceptions
import pytest

from glance_copy_plugin.audit import legacy_locations
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.backends import s3_copier
from glance_copy_plugin.backends import s3_streams
from glance_copy_plugin.records import urls
from glance_copy_plugin.transfer import errors
from tests.cloud import buckets as object_stores
from tests.parts import data
from tests.stores import conformance

IMAGE_ID, MIB = conformance.IMAGE_ID, 1024 ** 2
SECRET = 'sesame-opens'


def opened(url, store='s1'):
    """Return a location of a store as a source."""
    return s3_streams.S3Reader().source(drivers.location(store, url), None)


class TestObjects(object_stores.InBuckets):
    """In stores of this process."""

    def test_more_objects_than_a_page_holds_are_all_listed(self, make):
        bucket = make('s1').bucket
        names = {str(uuid.uuid4()) for _ in range(1100)}
        with futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: bucket.put(name, b''), names))
        bucket.put('of-somebody-else', b'')
        found = [kept for kept, _size in registry.list_objects('s1')]
        assert {kept.image_id for kept in found} == names
        assert len(found) == len(names)
        assert not any(kept.partial for kept in found)

    def test_an_unfinished_upload_is_found_with_its_size_and_removed(
        self, make
    ):
        bucket = make('s1').bucket
        bucket.leave_upload(IMAGE_ID, bytes(5 * MIB))
        ((kept, size),) = registry.list_objects('s1')
        assert (kept.image_id, kept.partial) == (IMAGE_ID, True)
        assert size() == 5 * MIB
        assert not registry.is_named('s1', kept, [kept.url])
        registry.remove_object('s1', kept.place)
        assert bucket.uploads() == []
        assert size() is None
        registry.remove_object('s1', kept.place)

    def test_what_a_dead_copy_left_goes_and_nothing_else(self, make):
        bucket, other = make('s1').bucket, str(uuid.uuid4())
        bucket.leave_upload(IMAGE_ID, b'a part')
        bucket.put(f'{IMAGE_ID}.0123456789ab.part', b'a copy to be checked')
        bucket.put(IMAGE_ID, b'the image')
        others = [other, f'{IMAGE_ID}-of-somebody-else']
        for key in others:
            bucket.leave_upload(key, b'of another copy')
        assert registry.remove_partial('s1', IMAGE_ID) == []
        assert bucket.keys() == [IMAGE_ID]
        assert {key for key, _id in bucket.uploads()} == {*others}

    def test_an_object_under_another_name_of_its_server_is_no_orphan(
        self, make
    ):
        """It would be removed, and may be all that there is."""
        url = make('s1').bucket.put(IMAGE_ID, b'the image')
        assert registry.orphan_url('s1', IMAGE_ID, []) == url
        alias = url.replace('127.0.0.1', 'objects.example.org')
        location = drivers.location('s1', alias)
        assert registry.orphan_url('s1', IMAGE_ID, [location]) is None
        ((kept, _size),) = registry.list_objects('s1')
        assert registry.is_named('s1', kept, [alias])

    def test_reading_goes_on_at_any_byte(self, make):
        content = data.some(3 * MIB)
        url = make('s1').bucket.put(IMAGE_ID, content)
        source = opened(url)
        for offset in (0, 1, MIB, 3 * MIB - 1):
            assert b''.join(source.read_from(offset)) == content[offset:]

    @pytest.mark.parametrize('change', [
        ('conformance-0', 'no-such-bucket'), (IMAGE_ID, 'no-such-object'),
    ])
    def test_an_object_that_is_gone_is_not_read_again(self, make, change):
        url = make('s1').bucket.url(IMAGE_ID).replace(*change)
        source = opened(url)
        with pytest.raises(errors.SourceGone, match='no such object'):
            list(source.read_from(0))

    def test_a_location_of_no_object_is_not_read(self, make):
        make('s1')
        with pytest.raises(errors.SourceGone, match='names no object'):
            list(opened('s3://alone').read_from(0))

    def test_a_key_of_earlier_times_is_not_needed(
        self, make, monkeypatch
    ):
        url = make('s1').bucket.put(IMAGE_ID, b'the image')
        old = url.replace('://', f'+http://old-key:{SECRET}/x@')
        source = opened(old)
        assert b''.join(source.read_from(0)) == b'the image'
        monkeypatch.setattr(urls, 'everything', lambda: [urls.Recorded(
            row=1, image_id=IMAGE_ID, url=old, metadata={},
        )])
        (found,) = legacy_locations.Migration(
            context=None, dry_run=True
        ).run()
        assert found.result == legacy_locations.WOULD_UPDATE
        assert found.detail == f'store s1: {url}'

    def test_a_certificate_is_verified_by_the_authority_of_the_store(
        self, make, buckets, configured, cloud
    ):
        bucket = make('s1').bucket
        bucket.put(IMAGE_ID, b'the image')
        options = {
            **buckets.options(bucket),
            's3_store_host': cloud.radosgw.secure_url,
        }
        url = f'{cloud.radosgw.secure_url}/{bucket.name}/{IMAGE_ID}'
        url = url.replace('https', 's3+https')
        configured('s1', 's3', **options,
                   s3_store_cacert=str(cloud.radosgw.authority))
        assert b''.join(opened(url).read_from(0)) == b'the image'
        assert registry.orphan_url('s1', IMAGE_ID, []) == url
        configured('s1', 's3', **options, s3_store_cacert='')
        with pytest.raises(botocore.exceptions.SSLError):
            list(opened(url).read_from(0))

    def test_the_name_of_a_bucket_may_be_in_that_of_the_server(
        self, make, buckets, configured, monkeypatch
    ):
        """Names below ``localhost`` are those of this machine: RFC 6761."""
        bucket, asked = make('s1').bucket, []
        bucket.put(IMAGE_ID, b'the image')
        look_up = socket.getaddrinfo

        def resolve(host, *more, **named):
            asked.append(host)
            return look_up('127.0.0.1', *more, **named)

        monkeypatch.setattr(socket, 'getaddrinfo', resolve)
        configured('s1', 's3', **{
            **buckets.options(bucket),
            's3_store_host': bucket.server.replace('127.0.0.1', 'localhost'),
            's3_store_bucket_url_format': 'virtual',
        })
        url = registry.orphan_url('s1', IMAGE_ID, [])
        assert b''.join(opened(url).read_from(0)) == b'the image'
        assert f'{bucket.name}.localhost' in asked

    def test_a_bucket_that_refuses_the_user_is_not_copied_from(
        self, make, buckets, caplog
    ):
        caplog.set_level('INFO')
        origin, target = make('origin'), make('s1')
        url = origin.plant(IMAGE_ID, b'the image')
        target.refuse_writing()
        buckets.client.delete_bucket_policy(Bucket=origin.bucket.name)
        location = drivers.location('origin', url)
        assert not s3_copier.S3Copier().can_copy(
            (location,), drivers.target('s1')
        )
        assert 'S3 cannot copy the image into store s1' in caplog.text
        with pytest.raises(errors.SourceGone, match='refuses the user'):
            list(opened(url).read_from(0))
