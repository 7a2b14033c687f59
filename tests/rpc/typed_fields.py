"""What clients with static types demand of answers: their structures do not parse without these members.

Found by taking members away from a node's answers, one at a time, and changing integers to fractions, until
``bitcoincore-rpc`` 0.19.0 or ``corepc-client`` 0.18.0 (types of Core v28) no longer parsed them. Paths: ``a.b`` is a
member of a member, ``a[].b`` one of every element of a list. Kinds: ``int`` may have no fraction, ``num`` may.
"""

from __future__ import annotations

_FULL_BLOCK = {
    "int": (
        "confirmations height nTx nonce size time tx[].locktime tx[].size tx[].version tx[].vin[].sequence "
        "tx[].vout[].n tx[].vsize tx[].weight version weight"
    ),
    "num": "difficulty tx[].vout[].value",
    "str": (
        "bits chainwork hash merkleroot target tx[].hash tx[].hex tx[].txid tx[].vout[].scriptPubKey.asm "
        "tx[].vout[].scriptPubKey.hex tx[].vout[].scriptPubKey.type versionHex"
    ),
    "arr": "tx tx[].vin tx[].vout",
    "obj": "tx[].vout[].scriptPubKey",
}

FIELDS: dict[str, dict[str, str]] = {
    "analyzepsbt": {
        "str": "next",
        "bool": "inputs[].has_utxo inputs[].is_final",
        "arr": "inputs",
    },
    "createmultisig": {
        "str": "address descriptor redeemScript",
    },
    "createwallet": {
        "str": "name",
    },
    "decodepsbt": {
        "int": (
            "inputs[].non_witness_utxo.locktime inputs[].non_witness_utxo.size inputs[].non_witness_utxo.version "
            "inputs[].non_witness_utxo.vin[].sequence inputs[].non_witness_utxo.vout[].n "
            "inputs[].non_witness_utxo.vsize inputs[].non_witness_utxo.weight psbt_version tx.locktime tx.size "
            "tx.version tx.vin[].sequence tx.vout[].n tx.vsize tx.weight"
        ),
        "num": "inputs[].non_witness_utxo.vout[].value inputs[].witness_utxo.amount tx.vout[].value",
        "str": (
            "inputs[].bip32_derivs[].master_fingerprint inputs[].bip32_derivs[].path inputs[].bip32_derivs[].pubkey "
            "inputs[].non_witness_utxo.hash inputs[].non_witness_utxo.txid "
            "inputs[].non_witness_utxo.vin[].scriptSig.asm inputs[].non_witness_utxo.vin[].scriptSig.hex "
            "inputs[].non_witness_utxo.vout[].scriptPubKey.asm inputs[].non_witness_utxo.vout[].scriptPubKey.hex "
            "inputs[].non_witness_utxo.vout[].scriptPubKey.type inputs[].witness_utxo.scriptPubKey.asm "
            "inputs[].witness_utxo.scriptPubKey.hex inputs[].witness_utxo.scriptPubKey.type "
            "outputs[].bip32_derivs[].master_fingerprint outputs[].bip32_derivs[].path "
            "outputs[].bip32_derivs[].pubkey tx.hash tx.txid tx.vin[].scriptSig.asm tx.vin[].scriptSig.hex "
            "tx.vout[].scriptPubKey.asm tx.vout[].scriptPubKey.hex tx.vout[].scriptPubKey.type"
        ),
        "arr": (
            "global_xpubs inputs inputs[].non_witness_utxo.vin inputs[].non_witness_utxo.vout outputs tx.vin tx.vout"
        ),
        "obj": (
            "inputs[].non_witness_utxo.vout[].scriptPubKey inputs[].witness_utxo.scriptPubKey tx tx.vout[].scriptPubKey"
        ),
    },
    "decoderawtransaction": {
        "int": "locktime size version vin[].sequence vout[].n vsize weight",
        "num": "vout[].value",
        "str": (
            "hash txid vin[].scriptSig.asm vin[].scriptSig.hex vout[].scriptPubKey.asm vout[].scriptPubKey.hex "
            "vout[].scriptPubKey.type"
        ),
        "arr": "vin vout",
        "obj": "vout[].scriptPubKey",
    },
    "decodescript": {
        "str": "asm type",
    },
    "estimaterawfee": {
        "int": "long.scale medium.scale short.scale",
        "num": "long.decay medium.decay short.decay",
        "obj": "long",
    },
    "estimatesmartfee": {
        "int": "blocks",
    },
    "finalizepsbt": {
        "bool": "complete",
    },
    "fundrawtransaction": {
        "int": "changepos",
        "num": "fee",
        "str": "hex",
    },
    "getaddednodeinfo": {
        "str": "[].addednode [].addresses[].address [].addresses[].connected",
        "bool": "[].connected",
        "arr": "[].addresses",
    },
    "getaddressinfo": {
        "str": "address scriptPubKey",
        "bool": "ischange ismine iswatchonly iswitness solvable",
        "arr": "labels",
    },
    "getaddrmaninfo": {
        "int": (
            "all_networks.new all_networks.total all_networks.tried ipv4.new ipv4.total ipv4.tried ipv6.new "
            "ipv6.total ipv6.tried onion.new onion.total onion.tried"
        ),
    },
    "getbalances": {
        "int": "lastprocessedblock.height",
        "num": "mine.immature mine.trusted mine.untrusted_pending",
        "str": "lastprocessedblock.hash",
        "obj": "mine",
    },
    "getblock": {
        "int": "confirmations height nTx nonce size time version weight",
        "num": "difficulty",
        "str": "bits chainwork hash merkleroot versionHex",
        "arr": "tx",
    },
    "getblock 2": _FULL_BLOCK,
    "getblock 3": _FULL_BLOCK,
    "getblockchaininfo": {
        "int": "blocks headers mediantime size_on_disk time",
        "num": "difficulty verificationprogress",
        "str": "bestblockhash chain chainwork",
        "bool": "initialblockdownload pruned",
        "arr": "warnings",
    },
    "getblockheader": {
        "int": "confirmations height mediantime nTx nonce time version",
        "num": "difficulty",
        "str": "bits chainwork hash merkleroot versionHex",
    },
    "getblockstats": {
        "int": (
            "avgfee avgfeerate avgtxsize height ins maxfee maxfeerate maxtxsize medianfee mediantime mediantxsize "
            "minfee minfeerate mintxsize outs subsidy swtotal_size swtotal_weight swtxs time total_out total_size "
            "total_weight totalfee txs utxo_increase utxo_size_inc"
        ),
        "str": "blockhash",
        "arr": "feerate_percentiles",
    },
    "getchaintips": {
        "int": "[].branchlen [].height",
        "str": "[].hash [].status",
    },
    "getchaintxstats": {
        "int": "time txcount window_block_count window_final_block_height",
        "str": "window_final_block_hash",
    },
    "getdeploymentinfo": {
        "int": "height",
        "str": "hash",
        "obj": "deployments",
    },
    "getdescriptorinfo": {
        "str": "checksum descriptor",
        "bool": "hasprivatekeys isrange issolvable",
    },
    "getindexinfo": {
        "int": "txindex.best_block_height",
        "bool": "txindex.synced",
    },
    "getmemoryinfo": {
        "int": "locked.chunks_free locked.chunks_used locked.free locked.locked locked.total locked.used",
    },
    "getmempoolentry": {
        "int": "ancestorcount ancestorsize descendantcount descendantsize height time vsize weight",
        "num": "fees.ancestor fees.base fees.descendant fees.modified",
        "str": "wtxid",
        "bool": "bip125-replaceable unbroadcast",
        "arr": "depends spentby",
        "obj": "fees",
    },
    "getmempoolinfo": {
        "int": "bytes maxmempool size unbroadcastcount usage",
        "num": "incrementalrelayfee mempoolminfee minrelaytxfee total_fee",
        "bool": "fullrbf loaded",
    },
    "getmininginfo": {
        "int": "blocks pooledtx",
        "num": "difficulty networkhashps",
        "str": "chain",
        "arr": "warnings",
    },
    "getnettotals": {
        "int": (
            "timemillis totalbytesrecv totalbytessent uploadtarget.bytes_left_in_cycle uploadtarget.target "
            "uploadtarget.time_left_in_cycle uploadtarget.timeframe"
        ),
        "bool": "uploadtarget.serve_historical_blocks uploadtarget.target_reached",
        "obj": "uploadtarget",
    },
    "getnetworkinfo": {
        "int": (
            "connections connections_in connections_out localaddresses[].port localaddresses[].score protocolversion "
            "timeoffset version"
        ),
        "num": "incrementalfee relayfee",
        "str": "localaddresses[].address localservices networks[].name networks[].proxy subversion",
        "bool": (
            "localrelay networkactive networks[].limited networks[].proxy_randomize_credentials networks[].reachable"
        ),
        "arr": "localaddresses localservicesnames networks warnings",
    },
    "getnodeaddresses": {
        "int": "[].port [].services [].time",
        "str": "[].address [].network",
    },
    "getpeerinfo": {
        "int": (
            "[].bytesrecv [].bytessent [].conntime [].id [].last_block [].last_transaction [].lastrecv [].lastsend "
            "[].startingheight [].synced_blocks [].synced_headers [].timeoffset [].version"
        ),
        "num": "[].minfeefilter",
        "str": ("[].addr [].addrbind [].network [].services [].session_id [].subver [].transport_protocol_type"),
        "bool": "[].bip152_hb_from [].bip152_hb_to [].inbound [].relaytxes",
        "arr": "[].inflight [].permissions [].servicesnames",
        "obj": "[].bytesrecv_per_msg [].bytessent_per_msg",
    },
    "getrawtransaction": {
        "int": "locktime size version vin[].sequence vout[].n vsize weight",
        "num": "vout[].value",
        "str": (
            "hash hex txid vin[].scriptSig.asm vin[].scriptSig.hex vout[].scriptPubKey.asm vout[].scriptPubKey.hex "
            "vout[].scriptPubKey.type"
        ),
        "arr": "vin vout",
        "obj": "vout[].scriptPubKey",
    },
    "getrpcinfo": {
        "str": "logpath",
        "arr": "active_commands",
    },
    "gettransaction": {
        "int": "confirmations details[].vout lastprocessedblock.height time timereceived",
        "num": "amount details[].amount",
        "str": "bip125-replaceable details[].address details[].category hex lastprocessedblock.hash txid",
        "arr": "details walletconflicts",
    },
    "gettxout": {
        "int": "confirmations",
        "num": "value",
        "str": "bestblock scriptPubKey.asm scriptPubKey.hex scriptPubKey.type",
        "bool": "coinbase",
        "obj": "scriptPubKey",
    },
    "gettxoutsetinfo": {
        "int": "bogosize height txouts",
        "num": "total_amount",
        "str": "bestblock",
    },
    "gettxspendingprevout": {
        "int": "[].vout",
        "str": "[].txid",
    },
    "getwalletinfo": {
        "int": "keypoolsize keypoolsize_hd_internal lastprocessedblock.height txcount walletversion",
        "num": "balance immature_balance paytxfee unconfirmed_balance",
        "str": "format lastprocessedblock.hash walletname",
        "bool": "avoid_reuse blank descriptors external_signer private_keys_enabled",
    },
    "importdescriptors": {
        "int": "[].error.code",
        "str": "[].error.message",
        "bool": "[].success",
    },
    "listbanned": {
        "int": "[].ban_created [].ban_duration [].banned_until [].time_remaining",
        "str": "[].address",
    },
    "listdescriptors": {
        "int": "descriptors[].timestamp",
        "str": "descriptors[].desc wallet_name",
        "bool": "descriptors[].active",
        "arr": "descriptors",
    },
    "listlockunspent": {
        "int": "[].vout",
        "str": "[].txid",
    },
    "listreceivedbyaddress": {
        "int": "[].confirmations",
        "num": "[].amount",
        "str": "[].address [].label",
        "arr": "[].txids",
    },
    "listreceivedbylabel": {
        "int": "[].confirmations",
        "num": "[].amount",
        "str": "[].label",
    },
    "listsinceblock": {
        "int": ("transactions[].confirmations transactions[].time transactions[].timereceived transactions[].vout"),
        "num": "transactions[].amount",
        "str": (
            "lastblock transactions[].bip125-replaceable transactions[].category transactions[].txid "
            "transactions[].wtxid"
        ),
        "arr": "removed transactions transactions[].walletconflicts",
    },
    "listtransactions": {
        "int": "[].confirmations [].time [].timereceived [].vout",
        "num": "[].amount",
        "str": "[].bip125-replaceable [].category [].txid [].wtxid",
        "arr": "[].walletconflicts",
    },
    "listunspent": {
        "int": "[].confirmations [].vout",
        "num": "[].amount",
        "str": "[].address [].scriptPubKey [].txid",
        "bool": "[].safe [].solvable [].spendable",
    },
    "listwalletdir": {
        "str": "wallets[].name",
        "arr": "wallets",
    },
    "rescanblockchain": {
        "int": "start_height stop_height",
    },
    "scantxoutset": {
        "int": "height txouts unspents[].confirmations unspents[].height unspents[].vout",
        "num": "total_amount unspents[].amount",
        "str": "bestblock unspents[].blockhash unspents[].desc unspents[].scriptPubKey unspents[].txid",
        "bool": "success unspents[].coinbase",
        "arr": "unspents",
    },
    "send": {
        "bool": "complete",
    },
    "signrawtransactionwithkey": {
        "int": "errors[].sequence errors[].vout",
        "str": "errors[].error errors[].scriptSig errors[].txid hex",
        "bool": "complete",
    },
    "testmempoolaccept": {
        "str": "[].txid [].wtxid",
        "bool": "[].allowed",
    },
    "validateaddress": {
        "str": "address scriptPubKey",
        "bool": "isscript isvalid iswitness",
    },
    "waitforblockheight": {
        "int": "height",
        "str": "hash",
    },
    "walletcreatefundedpsbt": {
        "int": "changepos",
        "num": "fee",
        "str": "psbt",
    },
    "walletprocesspsbt": {
        "str": "psbt",
        "bool": "complete",
    },
}
