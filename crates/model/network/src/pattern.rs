//! Networks that only configure others (`--config-only`), and those made by them (`--config-from`): what may stand where, and
//! what comes from the pattern. The refusals are Docker's.

use crate::{BridgeOptions, Error, IpvlanOptions, MacvlanOptions, NetworkSpec};

const OPERATOR: &str = "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.";
const NESTED: &str = "a configuration network cannot depend on another configuration network";
const CONFIGURED: &str = "user specified configurations are not supported if the network depends on a configuration network";
const OPTIONS: &str =
    "network driver options are not supported if the network depends on a configuration network";

impl NetworkSpec {
    /// Refuses what a pattern, or a network made by one, must not say.
    ///
    /// # Errors
    /// When it says so.
    pub fn check_pattern(&self) -> Result<(), Error> {
        if self.config_only && (self.internal || self.attachable) {
            return Err(Error::Pattern(OPERATOR));
        }
        if self.config_from.is_none() {
            return Ok(());
        }
        let own = self.ipv6
            || self.ipam_driver.is_some()
            || !self.labels.is_empty()
            || !self.ipam_options.is_empty()
            || !self.pools.is_empty();
        match (self.config_only, own, self.options.is_empty()) {
            (true, _, _) => Err(Error::Pattern(NESTED)),
            (false, true, _) => Err(Error::Pattern(CONFIGURED)),
            (false, false, false) => Err(Error::Pattern(OPTIONS)),
            (false, false, true) => Ok(()),
        }
    }

    /// Fills a network in from its pattern.
    ///
    /// # Errors
    /// When the pattern's options make no sense to the driver.
    pub fn patterned(self, by: &Self) -> Result<Self, Error> {
        let of = by.clone();
        Ok(Self {
            config_from: Some(of.name.to_string()),
            ipv4: of.ipv4,
            ipv6: of.ipv6,
            ipam_driver: of.ipam_driver,
            ipam_options: of.ipam_options,
            pools: of.pattern,
            bridge: BridgeOptions::parse(&of.options)?,
            macvlan: MacvlanOptions::parse(&of.options)?,
            ipvlan: IpvlanOptions::parse(&of.options)?,
            options: of.options,
            labels: of.labels,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use hakone_engine_api::wire;

    use crate::{DriverKind, NetworkSpec};

    fn spec(text: &str) -> NetworkSpec {
        let request: wire::NetworkCreateRequest = serde_json::from_str(text).unwrap();
        NetworkSpec::try_from(request).unwrap()
    }

    #[test]
    fn a_pattern_says_nothing_about_who_may_use_it_and_names_no_other() {
        let pattern = spec(
            r#"{"Name":"p","ConfigOnly":true,"Driver":"macvlan","IPAM":{"Config":[{"Subnet":"10.7.0.0/24"}]},"Labels":{"a":"b"}}"#,
        );
        assert!(pattern.check_pattern().is_ok());
        assert_eq!(
            (pattern.driver, pattern.pattern.len()),
            (DriverKind::Null, 1)
        );
        let made = spec(r#"{"Name":"n","Internal":true,"ConfigFrom":{"Network":"p"}}"#);
        assert!(made.check_pattern().is_ok());
        let made = made.patterned(&pattern).unwrap();
        assert_eq!((made.pools.len(), made.labels.len()), (1, 1));
        assert!(made.internal && made.driver == DriverKind::Bridge);
        for odd in [
            r#"{"Name":"p","ConfigOnly":true,"Internal":true}"#,
            r#"{"Name":"p","ConfigOnly":true,"ConfigFrom":{"Network":"q"}}"#,
            r#"{"Name":"n","ConfigFrom":{"Network":"p"},"EnableIPv6":true}"#,
            r#"{"Name":"n","ConfigFrom":{"Network":"p"},"Labels":{"a":"b"}}"#,
            r#"{"Name":"n","ConfigFrom":{"Network":"p"},"Options":{"a":"b"}}"#,
        ] {
            assert!(spec(odd).check_pattern().is_err(), "{odd}");
        }
    }
}
