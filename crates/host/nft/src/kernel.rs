//! Numbers of the kernel's headers: `linux/netlink.h`, `linux/netfilter/{nfnetlink,nf_tables,nfnetlink_conntrack,nfnetlink_log}.h`.

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_ACK: u16 = 4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;
pub(crate) const NLA_F_NESTED: u16 = 0x8000;

pub(crate) const BATCH_BEGIN: u16 = 0x10;
pub(crate) const BATCH_END: u16 = 0x11;
pub(crate) const BATCH_GENERATION: u16 = 1;

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of each message type.
pub(crate) const NFTABLES: u16 = 10;
pub(crate) const NEWTABLE: u16 = 0;
pub(crate) const GETTABLE: u16 = 1;
pub(crate) const DELTABLE: u16 = 2;
pub(crate) const NEWCHAIN: u16 = 3;
pub(crate) const DELCHAIN: u16 = 5;
pub(crate) const NEWRULE: u16 = 6;
pub(crate) const GETRULE: u16 = 7;
pub(crate) const DELRULE: u16 = 8;
pub(crate) const NEWSET: u16 = 9;
pub(crate) const DELSET: u16 = 11;
pub(crate) const NEWSETELEM: u16 = 12;
pub(crate) const DELSETELEM: u16 = 14;
pub(crate) const NEWGEN: u16 = 15;
pub(crate) const GETGEN: u16 = 16;
/// `NFNLGRP_NFTABLES`, the group that is told of every change.
pub(crate) const GROUP_NFTABLES: u32 = 7;

/// `NFNL_SUBSYS_CTNETLINK` and its messages.
pub(crate) const CONNTRACK: u16 = 1;
pub(crate) const NEW_FLOW: u16 = 0;
pub(crate) const GET_FLOW: u16 = 1;
pub(crate) const DELETE_FLOW: u16 = 2;

/// `NFNLGRP_CONNTRACK_NEW` and `NFNLGRP_CONNTRACK_DESTROY`.
pub(crate) const GROUP_FLOW_NEW: u32 = 1;
pub(crate) const GROUP_FLOW_GONE: u32 = 3;

/// `NFNL_SUBSYS_ULOG` and the message that configures a group of the log.
pub(crate) const ULOG: u16 = 4;
pub(crate) const LOG_CONFIG: u16 = 1;
/// `NFULNL_CFG_CMD_BIND`, `NFULNL_COPY_PACKET`, `NFULNL_CFG_F_SEQ`.
pub(crate) const LOG_BIND: u8 = 1;
pub(crate) const LOG_COPY_PACKET: u8 = 2;
pub(crate) const LOG_NUMBERED: u16 = 1;

pub(crate) const NFPROTO_INET: u8 = 1;
pub(crate) const NFPROTO_IPV4: u8 = 2;
pub(crate) const NFPROTO_NETDEV: u8 = 5;
pub(crate) const NFPROTO_BRIDGE: u8 = 7;
/// `NF_NETDEV_INGRESS`.
pub(crate) const NETDEV_INGRESS: u32 = 0;
/// `NF_NETDEV_EGRESS`.
pub(crate) const NETDEV_EGRESS: u32 = 1;
pub(crate) const NFPROTO_IPV6: u8 = 10;

/// Attributes, by object and in the kernel's order.
pub(crate) mod attribute {
    pub(crate) const LIST_ELEM: u16 = 1;
    pub(crate) const GEN_ID: u16 = 1;
    pub(crate) const GEN_PROCESS: u16 = 2;
    pub(crate) const GEN_PROGRAM: u16 = 3;
    pub(crate) const TABLE_NAME: u16 = 1;
    pub(crate) const TABLE_HANDLE: u16 = 4;

    pub(crate) const CHAIN_TABLE: u16 = 1;
    pub(crate) const CHAIN_NAME: u16 = 3;
    pub(crate) const CHAIN_HOOK: u16 = 4;
    pub(crate) const CHAIN_POLICY: u16 = 5;
    pub(crate) const CHAIN_TYPE: u16 = 7;
    pub(crate) const HOOK_NUMBER: u16 = 1;
    pub(crate) const HOOK_PRIORITY: u16 = 2;
    pub(crate) const HOOK_DEVICE: u16 = 3;

    pub(crate) const RULE_TABLE: u16 = 1;
    pub(crate) const RULE_CHAIN: u16 = 2;
    pub(crate) const RULE_EXPRESSIONS: u16 = 4;
    pub(crate) const RULE_USERDATA: u16 = 7;
    pub(crate) const EXPR_NAME: u16 = 1;
    pub(crate) const EXPR_DATA: u16 = 2;

    pub(crate) const SET_TABLE: u16 = 1;
    pub(crate) const SET_NAME: u16 = 2;
    pub(crate) const SET_FLAGS: u16 = 3;
    pub(crate) const SET_KEY_TYPE: u16 = 4;
    pub(crate) const SET_KEY_LEN: u16 = 5;
    pub(crate) const SET_DATA_TYPE: u16 = 6;
    pub(crate) const SET_DATA_LEN: u16 = 7;
    pub(crate) const SET_DESC: u16 = 9;
    pub(crate) const SET_ID: u16 = 10;
    pub(crate) const SET_TIMEOUT: u16 = 11;
    pub(crate) const SET_USERDATA: u16 = 13;
    pub(crate) const SET_DESC_SIZE: u16 = 1;
    pub(crate) const SET_DESC_CONCAT: u16 = 2;
    pub(crate) const SET_FIELD_LEN: u16 = 1;

    pub(crate) const ELEMENTS_TABLE: u16 = 1;
    pub(crate) const ELEMENTS_SET: u16 = 2;
    pub(crate) const ELEMENTS_LIST: u16 = 3;
    pub(crate) const ELEMENT_KEY: u16 = 1;
    pub(crate) const ELEMENT_DATA: u16 = 2;
    pub(crate) const ELEMENT_FLAGS: u16 = 3;
    pub(crate) const ELEMENT_TIMEOUT: u16 = 4;
    pub(crate) const ELEMENT_KEY_END: u16 = 10;

    pub(crate) const DATA_VALUE: u16 = 1;
    pub(crate) const DATA_VERDICT: u16 = 2;
    pub(crate) const VERDICT_CODE: u16 = 1;
    pub(crate) const VERDICT_CHAIN: u16 = 2;

    pub(crate) const META_DREG: u16 = 1;
    pub(crate) const META_KEY: u16 = 2;
    pub(crate) const META_SREG: u16 = 3;
    pub(crate) const SOCKET_KEY: u16 = 1;
    pub(crate) const SOCKET_DREG: u16 = 2;
    pub(crate) const PAYLOAD_DREG: u16 = 1;
    pub(crate) const PAYLOAD_BASE: u16 = 2;
    pub(crate) const PAYLOAD_OFFSET: u16 = 3;
    pub(crate) const PAYLOAD_LEN: u16 = 4;
    pub(crate) const PAYLOAD_SREG: u16 = 5;
    pub(crate) const PAYLOAD_CSUM_TYPE: u16 = 6;
    pub(crate) const PAYLOAD_CSUM_OFFSET: u16 = 7;
    pub(crate) const CMP_SREG: u16 = 1;
    pub(crate) const CMP_OP: u16 = 2;
    pub(crate) const CMP_DATA: u16 = 3;
    pub(crate) const LOOKUP_SET: u16 = 1;
    pub(crate) const LOOKUP_SREG: u16 = 2;
    pub(crate) const LOOKUP_DREG: u16 = 3;
    pub(crate) const BITWISE_SREG: u16 = 1;
    pub(crate) const BITWISE_DREG: u16 = 2;
    pub(crate) const BITWISE_LEN: u16 = 3;
    pub(crate) const BITWISE_MASK: u16 = 4;
    pub(crate) const BITWISE_XOR: u16 = 5;
    pub(crate) const RT_DREG: u16 = 1;
    pub(crate) const RT_KEY: u16 = 2;

    pub(crate) const DYNSET_SET: u16 = 1;
    pub(crate) const DYNSET_OPERATION: u16 = 3;
    pub(crate) const DYNSET_KEY: u16 = 4;
    pub(crate) const DYNSET_EXPRESSION: u16 = 7;
    pub(crate) const CONNLIMIT_COUNT: u16 = 1;
    pub(crate) const CONNLIMIT_FLAGS: u16 = 2;
    pub(crate) const COUNTER_PACKETS: u16 = 2;
    pub(crate) const LOG_COMMAND: u16 = 1;
    pub(crate) const LOG_MODE: u16 = 2;
    pub(crate) const LOG_TIMEOUT: u16 = 4;
    pub(crate) const LOG_FLAGS: u16 = 6;
    pub(crate) const LIMIT_RATE: u16 = 1;
    pub(crate) const LIMIT_UNIT: u16 = 2;
    pub(crate) const LIMIT_BURST: u16 = 3;
    pub(crate) const LOG_GROUP: u16 = 1;
    pub(crate) const LOG_PREFIX: u16 = 2;
    pub(crate) const LOG_SNAPLEN: u16 = 3;
    pub(crate) const CT_DREG: u16 = 1;
    pub(crate) const CT_KEY: u16 = 2;
    pub(crate) const FIB_DREG: u16 = 1;
    pub(crate) const FIB_RESULT: u16 = 2;
    pub(crate) const FIB_FLAGS: u16 = 3;
    pub(crate) const NAT_TYPE: u16 = 1;
    pub(crate) const NAT_FAMILY: u16 = 2;
    pub(crate) const NAT_REG_ADDR_MIN: u16 = 3;
    pub(crate) const NAT_REG_PROTO_MIN: u16 = 5;
    pub(crate) const IMMEDIATE_DREG: u16 = 1;
    pub(crate) const IMMEDIATE_DATA: u16 = 2;
    pub(crate) const FORWARD_DEVICE: u16 = 1;

    pub(crate) const FLOW_ORIGINAL: u16 = 1;
    pub(crate) const FLOW_REPLY: u16 = 2;
    pub(crate) const FLOW_STATUS: u16 = 3;
    pub(crate) const FLOW_STATE: u16 = 4;
    pub(crate) const FLOW_TIMEOUT: u16 = 7;
    pub(crate) const STATE_TCP: u16 = 1;
    pub(crate) const TCP_STATE: u16 = 1;
    pub(crate) const TCP_FLAGS_ORIGINAL: u16 = 4;
    pub(crate) const TCP_FLAGS_REPLY: u16 = 5;
    pub(crate) const FLOW_FILTER: u16 = 25;
    pub(crate) const FILTER_ORIGINAL: u16 = 1;
    pub(crate) const TUPLE_ADDRESSES: u16 = 1;
    pub(crate) const TUPLE_PROTOCOL: u16 = 2;
    pub(crate) const ADDRESS_FROM: u16 = 1;
    pub(crate) const ADDRESS_TO: u16 = 2;
    pub(crate) const ADDRESS_FROM_V6: u16 = 3;
    pub(crate) const ADDRESS_TO_V6: u16 = 4;
    pub(crate) const PROTOCOL_NUMBER: u16 = 1;
    pub(crate) const PROTOCOL_FROM: u16 = 2;
    pub(crate) const PROTOCOL_TO: u16 = 3;
}

pub(crate) const SET_INTERVAL: u32 = 4;
pub(crate) const SET_MAP: u32 = 8;
/// `NFT_SET_TIMEOUT`.
pub(crate) const SET_TIMED: u32 = 0x10;
/// `NFT_SET_EVAL`.
pub(crate) const SET_DYNAMIC: u32 = 0x20;
pub(crate) const SET_CONCAT: u32 = 0x80;
pub(crate) const ELEMENT_INTERVAL_END: u32 = 1;
/// `NFT_DATA_VERDICT`, the data type of a verdict map.
pub(crate) const DATA_VERDICT: u32 = 0xffff_ff00;

/// `NFT_REG_VERDICT`.
pub(crate) const REG_VERDICT: u32 = 0;
/// `NFT_REG32_00`, the first of sixteen registers of four bytes.
pub(crate) const REG32: u32 = 8;

pub(crate) const META_MARK: u32 = 3;
pub(crate) const META_IIFNAME: u32 = 6;
/// `NFT_SOCKET_TRANSPARENT`.
pub(crate) const SOCKET_TRANSPARENT: u32 = 0;
pub(crate) const META_OIFNAME: u32 = 7;
pub(crate) const META_NFPROTO: u32 = 15;
pub(crate) const META_L4PROTO: u32 = 16;
pub(crate) const META_PKTTYPE: u32 = 19;
/// `PACKET_HOST` of `linux/if_packet.h`.
pub(crate) const PACKET_HOST: u8 = 0;
pub(crate) const PAYLOAD_CSUM_INET: u32 = 1;
pub(crate) const PAYLOAD_LINK: u32 = 0;
pub(crate) const PAYLOAD_NETWORK: u32 = 1;
pub(crate) const PAYLOAD_TRANSPORT: u32 = 2;
pub(crate) const CMP_EQ: u32 = 0;
pub(crate) const CMP_NEQ: u32 = 1;
pub(crate) const CT_STATE: u32 = 0;
pub(crate) const CT_STATUS: u32 = 2;
/// `IPS_CONFIRMED`.
pub(crate) const STATUS_CONFIRMED: u32 = 1 << 3;
/// `IPS_SEEN_REPLY` and `IPS_ASSURED`.
pub(crate) const STATUS_ANSWERED: u32 = 1 << 1;
pub(crate) const STATUS_ASSURED: u32 = 1 << 2;
/// `TCP_CONNTRACK_ESTABLISHED` and `IP_CT_TCP_FLAG_BE_LIBERAL`.
pub(crate) const TRACKED_ESTABLISHED: u8 = 3;
pub(crate) const TRACKED_LIBERALLY: u8 = 8;
pub(crate) const RT_NEXTHOP4: u32 = 1;
pub(crate) const RT_NEXTHOP6: u32 = 2;
pub(crate) const DYNSET_ADD: u32 = 0;
pub(crate) const DYNSET_UPDATE: u32 = 1;
/// `NFT_CONNLIMIT_F_INV`.
pub(crate) const CONNLIMIT_OVER: u32 = 1;
/// `IPS_DST_NAT`.
pub(crate) const STATUS_DNAT: u32 = 1 << 5;
pub(crate) const FIB_ADDRTYPE: u32 = 3;
pub(crate) const FIB_SADDR: u32 = 1;
pub(crate) const FIB_DADDR: u32 = 2;
/// `RTN_LOCAL`.
pub(crate) const TYPE_LOCAL: u32 = 2;
pub(crate) const NAT_DESTINATION: u32 = 1;

pub(crate) const VERDICT_DROP: i32 = 0;
pub(crate) const VERDICT_ACCEPT: i32 = 1;
pub(crate) const VERDICT_JUMP: i32 = -3;
pub(crate) const VERDICT_GOTO: i32 = -4;
pub(crate) const VERDICT_RETURN: i32 = -5;
