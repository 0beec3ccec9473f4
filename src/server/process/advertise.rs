//! The address that clients are told instead of the listener's, checked at the start.

/// Says what is wrong with such an address, in nats-server's words. One without a port is told with the
/// listener's.
pub(super) fn check(address: &str) -> anyhow::Result<()> {
    let Some((host, port)) = address.trim().rsplit_once(':') else {
        return Ok(());
    };
    let why = if host.contains(':') && !host.starts_with('[') {
        format!("address {address}: too many colons in address")
    } else if port.parse::<i64>().is_err() {
        format!("strconv.Atoi: parsing {port:?}: invalid syntax")
    } else {
        return Ok(());
    };
    anyhow::bail!("Error setting server INFO with ClientAdvertise value of {address}, err={why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_clients_could_not_dial_is_refused() {
        for fine in ["a", "a:4222", "a:-1", "[::1]:4222"] {
            check(fine).expect(fine);
        }
        let wrong = |address| check(address).expect_err("it is wrong").to_string();
        let start = "Error setting server INFO with ClientAdvertise value of ";
        for (address, why) in [
            ("a:b:c", "address a:b:c: too many colons in address"),
            ("a:b", "strconv.Atoi: parsing \"b\": invalid syntax"),
        ] {
            assert_eq!(wrong(address), format!("{start}{address}, err={why}"));
        }
    }
}
