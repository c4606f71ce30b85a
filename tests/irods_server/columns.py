# SPDX-License-Identifier: Apache-2.0

"""The columns that a query may name, by their number."""


def _owner(part):
    return lambda row: row.entity.owner[part]


RESOURCE = {
    301: lambda row: row.resource.id,
    302: lambda row: row.resource.name,
    303: lambda row: row.resource.zone,
    304: lambda row: 'unixfilesystem',
    305: lambda row: 'cache',
    306: lambda row: '127.0.0.1',
    307: lambda row: row.resource.vault.folder,
    308: lambda row: '',
    310: lambda row: '',
    311: lambda row: row.resource.created,
    312: lambda row: row.resource.created,
    313: lambda row: '' if row.resource.up else 'down',
    314: lambda row: '',
    315: lambda row: '',
    316: lambda row: '',
    317: lambda row: '',
    318: lambda row: '',
}

DATA = {
    401: lambda row: row.entity.id,
    402: lambda row: row.collection.id,
    403: lambda row: row.entity.name,
    404: lambda row: row.replica.number,
    405: lambda row: '',
    406: lambda row: 'generic',
    407: lambda row: row.replica.size,
    409: lambda row: row.replica.resource.name,
    410: lambda row: row.replica.path,
    411: _owner(0),
    412: _owner(1),
    413: lambda row: row.replica.status,
    414: lambda row: '',
    415: lambda row: row.replica.checksum,
    416: lambda row: '00000000000',
    417: lambda row: '0',
    418: lambda row: '',
    419: lambda row: row.replica.created,
    420: lambda row: row.replica.modified,
    422: lambda row: row.replica.resource.name,
    423: lambda row: row.replica.resource.id,
    424: lambda row: row.replica.accessed,
}

COLLECTION = {
    500: lambda row: row.collection.id,
    501: lambda row: row.collection.path,
    502: lambda row: row.collection.parent,
    503: lambda row: row.collection.owner[0],
    504: lambda row: row.collection.owner[1],
    505: lambda row: '0',
    506: lambda row: '',
    507: lambda row: '',
    508: lambda row: row.collection.created,
    509: lambda row: row.collection.modified,
}

DATA_AVU = {
    600: lambda row: row.avu.name,
    601: lambda row: row.avu.value,
    602: lambda row: row.avu.units,
    603: lambda row: row.avu.id,
    604: lambda row: row.avu.created,
    605: lambda row: row.avu.modified,
}

ALL = RESOURCE | DATA | COLLECTION | DATA_AVU
