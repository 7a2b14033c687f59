"""What web explorers read of a node's answers: seen while btc-rpc-explorer 3.5.1 and mempool's backend 3.4 ran on one.

Paths: ``a.b`` is a member of a member, ``a[].b`` of every element of a list (which must not be empty).
"""

from __future__ import annotations

from typing import Any

_HEADER = (
    "hash confirmations height version versionHex merkleroot time mediantime nonce bits difficulty chainwork nTx "
    "previousblockhash nextblockhash"
)
_TX = (
    "txid hash version size vsize weight locktime hex vin[].sequence vout[].value vout[].n vout[].scriptPubKey.asm "
    "vout[].scriptPubKey.hex vout[].scriptPubKey.type"
)
_ENTRY = (
    "vsize weight time height descendantcount descendantsize ancestorcount ancestorsize wtxid fees.base fees.modified "
    "fees.ancestor fees.descendant depends spentby bip125-replaceable"
)

FIELDS = {
    "getblockchaininfo": "chain blocks headers bestblockhash difficulty mediantime verificationprogress "
    "initialblockdownload chainwork size_on_disk pruned warnings",
    "getnetworkinfo": "version subversion protocolversion localservices localservicesnames localrelay timeoffset "
    "networkactive connections connections_in connections_out networks[].name networks[].limited "
    "networks[].reachable networks[].proxy relayfee incrementalfee localaddresses warnings",
    "getnettotals": "totalbytesrecv totalbytessent timemillis uploadtarget.timeframe uploadtarget.target",
    "getmempoolinfo": "loaded size bytes usage total_fee maxmempool mempoolminfee minrelaytxfee incrementalrelayfee "
    "unbroadcastcount",
    "getmininginfo": "blocks difficulty networkhashps pooledtx chain warnings",
    "getdeploymentinfo": "hash height deployments",
    "getindexinfo": "txindex.synced txindex.best_block_height",
    "getchaintxstats": "time txcount window_final_block_hash window_final_block_height window_block_count "
    "window_interval window_tx_count txrate",
    "getblock": _HEADER + " strippedsize size weight tx",
    "getblockheader": _HEADER,
    "getblockstats": "avgfee avgfeerate avgtxsize blockhash feerate_percentiles height ins maxfee maxfeerate maxtxsize "
    "medianfee mediantime mediantxsize minfee minfeerate mintxsize outs subsidy swtotal_size swtotal_weight swtxs time "
    "total_out total_size total_weight totalfee txs utxo_increase utxo_size_inc",
    "getrawtransaction": _TX,
    "archived": _TX + " blockhash confirmations time blocktime",
    "spending": "vin[].txid vin[].vout vin[].scriptSig.asm vin[].scriptSig.hex vin[].txinwitness",
    "coinbase": "vin[].coinbase vin[].sequence vout[].scriptPubKey.address",
    "getmempoolentry": _ENTRY,
    "gettxout": "bestblock confirmations value scriptPubKey.asm scriptPubKey.hex scriptPubKey.type "
    "scriptPubKey.address coinbase",
    "gettxoutsetinfo": "height bestblock txouts bogosize total_amount transactions disk_size",
    "estimatesmartfee": "feerate blocks",
    "getpeerinfo": "[].id [].addr [].network [].services [].relaytxes [].lastsend [].lastrecv [].bytessent "
    "[].bytesrecv [].conntime [].timeoffset [].pingtime [].minping [].version [].subver [].inbound [].startingheight "
    "[].synced_headers [].synced_blocks [].inflight [].connection_type [].permissions",
    "getchaintips": "[].height [].hash [].branchlen [].status",
    "validateaddress": "isvalid address scriptPubKey isscript iswitness witness_version witness_program",
    "getblocktemplate": "previousblockhash height coinbasevalue weightlimit sizelimit curtime mintime bits target "
    "transactions[].txid transactions[].hash transactions[].fee transactions[].weight transactions[].depends "
    "transactions[].data",
    "testmempoolaccept": "[].txid [].wtxid [].allowed [].vsize [].fees.base [].fees.effective-feerate "
    "[].fees.effective-includes",
}
"""Members by method; of a transaction also by what it is."""

ALSO_CALLED = (
    "decoderawtransaction",
    "getbestblockhash",
    "getblockcount",
    "getblockhash",
    "getdifficulty",
    "getmempoolancestors",
    "getmempooldescendants",
    "getnetworkhashps",
    "getrawmempool",
    "help",
    "listwallets",
    "sendrawtransaction",
    "uptime",
)
"""Methods whose results have no members."""


def missing(answer: Any, fields: str) -> list[str]:
    """The paths of ``fields`` that an answer lacks."""
    return [path for path in fields.split() if not _has(answer, path)]


def _has(value: Any, path: str) -> bool:
    first, _, rest = path.partition(".")
    name, is_list = first.removesuffix("[]"), first.endswith("[]")
    if name:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    if is_list:
        return bool(value) and all(not rest or _has(each, rest) for each in value)
    return not rest or _has(value, rest)
