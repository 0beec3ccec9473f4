//! The `proxies` block: who may bring clients here.

use alloc::format;
use alloc::string::String;

use identity::PublicKey;

use super::reader::Reader;
use crate::options::Proxies;
use crate::value::Node;

pub(super) fn proxies(read: &mut Reader, node: &Node) -> Proxies {
    let mut proxies = Proxies::default();
    read.each(node, |read, key, node| {
        match key {
            "trusted" => {
                let items = read.list(node).iter();
                proxies.trusted = items.filter_map(|item| proxy(read, item)).collect();
            }
            _ => return false,
        }
        true
    });
    proxies
}

fn proxy(read: &mut Reader, node: &Node) -> Option<String> {
    let mut found = None;
    let mut said = false;
    read.each(node, |read, key, node| {
        match key {
            "key" | "public_key" => {
                said = true;
                found = read.text(node).filter(|text| {
                    let valid = PublicKey::parse(text).is_ok();
                    if !valid {
                        read.error(&node.at, format!("invalid proxy key {text:?}"));
                    }
                    valid
                });
            }
            _ => return false,
        }
        true
    });
    if !said {
        read.error(&node.at, "proxy trusted key \"\" is invalid");
    }
    found
}
