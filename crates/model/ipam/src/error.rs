//! Why no subnet or address is given.

use std::net::IpAddr;

use hakone_base::{Fault, Kind, Subnet};

/// A refusal of address management.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A subnet or range that is no prefix.
    #[error("invalid network config:\ninvalid {field} {text}: invalid CIDR block notation")]
    Notation {
        /// `subnet` or `ip-range`.
        field: &'static str,
        /// The text.
        text: String,
    },
    /// A subnet or range with host bits.
    #[error("invalid network config:\ninvalid {field} {text}: it should be {should}")]
    HostBits {
        /// `subnet` or `ip-range`.
        field: &'static str,
        /// The text.
        text: String,
        /// The prefix without host bits.
        should: Subnet,
    },
    /// A gateway or auxiliary address that is no address.
    #[error("invalid network config:\ninvalid {field} {text}: invalid address")]
    Address {
        /// `gateway` or `auxiliary address`.
        field: &'static str,
        /// The text.
        text: String,
    },
    /// An address outside its subnet.
    #[error(
        "invalid network config:\ninvalid {field} {address}: parent subnet {subnet} doesn't contain this address"
    )]
    Outside {
        /// `gateway` or `auxiliary address`.
        field: &'static str,
        /// The address.
        address: IpAddr,
        /// The subnet.
        subnet: Subnet,
    },
    /// A range outside its subnet.
    #[error(
        "invalid network config:\ninvalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"
    )]
    RangeOutside {
        /// The range.
        range: Subnet,
        /// The subnet.
        subnet: Subnet,
    },
    /// A range, gateway or auxiliary address without a subnet.
    #[error("invalid network config:\ninvalid subnet : every other setting of a pool needs one")]
    SubnetMissing,
    /// A subnet that shares addresses with another network's.
    #[error("Pool overlaps with other one on this address space")]
    Overlap {
        /// The subnet asked for.
        wanted: Subnet,
        /// The one that has it.
        taken: Subnet,
    },
    /// No default subnet is free.
    #[error("all predefined address pools have been fully subnetted")]
    PoolsExhausted,
    /// No address is free.
    #[error("no available addresses on this pool")]
    Exhausted(Subnet),
    /// The address asked for has an owner.
    #[error("Address already in use")]
    InUse(IpAddr),
    /// The address asked for is not one that endpoints get.
    #[error("requested address {address} is out of range of subnet {subnet}")]
    OutOfRange {
        /// The address.
        address: IpAddr,
        /// The subnet.
        subnet: Subnet,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Notation { .. }
            | Self::HostBits { .. }
            | Self::Address { .. }
            | Self::Outside { .. }
            | Self::RangeOutside { .. }
            | Self::SubnetMissing
            | Self::OutOfRange { .. } => Kind::InvalidParameter,
            Self::Overlap { .. } | Self::InUse(_) => Kind::Forbidden,
            Self::PoolsExhausted | Self::Exhausted(_) => Kind::Unavailable,
        }
    }
}
