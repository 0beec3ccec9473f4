//! Creating and changing consumers on request.
//!
//! *Invariant:* what is proposed has passed every check, so that applying it cannot fail.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;
use protocol::js::check::{
    ConsumerRules, NameRules, check_consumer, check_consumer_update, check_name_length,
    check_work_queue, resolve_consumer_request, set_consumer_level, settle_ephemeral,
    settle_inactivity,
};
use protocol::js::config::{ConsumerConfig, ConsumerCreateRequest};
use protocol::js::enums::{AckPolicy, ConsumerAction, Retention};
use protocol::js::errors::{self, ApiError};
use protocol::js::info::AccountLimits;
use protocol::js::json::{decode, to_vec};
use protocol::text::duration::Nanos;

use super::super::Consumers;
use super::super::copying::is_sourcing;
use super::super::machine::{Identity, is_logged};
use super::{Request, identity};
use crate::entry::{ConsumerCreate, Entry};
use crate::env::Env;
use crate::shared::{Answer, Scope};

/// Digits of a generated name.
const NAME_LEN: usize = 8;

impl Consumers {
    pub(super) fn create<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        let payload = request.call.msg.payload;
        let mut body: ConsumerCreateRequest = decode(payload, request.strictness())?;
        resolve_consumer_request(request.api, &mut body)?;
        let mut config = body.config;
        if config.direct && config.sourcing && !config.name.is_empty() {
            self.settle_copying(&mut config, request);
        }
        if identity::is_told_to(&config) {
            identity::check(request.call, request.core)?;
        }
        if let Some(old) = self.get(name_of(&config)) {
            // Only a request to pause changes that.
            config.pause_until = old.config.pause_until;
            if config.sourcing && config.is_durable() {
                // Who copies asks for the rest each time; where it began stays as it is.
                config.deliver_policy = old.config.deliver_policy;
                config.opt_start_seq = old.config.opt_start_seq;
                config.opt_start_time = old.config.opt_start_time;
            }
        }
        set_consumer_level(&mut config);
        let account = request.shared.accounts.get(request.call.account);
        let limits = account
            .and_then(|account| account.limits)
            .ok_or(errors::NOT_ENABLED_FOR_ACCOUNT)?;
        let rules = ConsumerRules {
            server: &request.shared.options.limits,
            account: &limits,
            stream: request.core.config(),
            pedantic: body.pedantic,
        };
        check_consumer(&mut config, &rules)?;
        if let Some(old) = self.get(name_of(&config)) {
            let identity = old.identity();
            self.check_change(&mut config, body.action, request)?;
            return self.put_config(identity, config, request);
        }
        if body.action == ConsumerAction::Update {
            return Err(errors::CONSUMER_DOES_NOT_EXIST);
        }
        self.check_new(&config, &limits, request)?;
        let name = match (config.durable_name.as_str(), config.name.as_str()) {
            // The configuration of a consumer that was not named stays without a name.
            ("", "") => self.generate_name(request),
            ("", name) | (name, _) => name.into(),
        };
        settle_ephemeral(&mut config);
        let identity = Identity {
            id: request.shared.allocate_consumer(),
            name,
            created: request.shared.clock.stamp(request.env.now()),
        };
        self.put_config(identity, config, request)
    }

    fn check_change<E: Env>(
        &self,
        config: &mut ConsumerConfig,
        action: ConsumerAction,
        request: &mut Request<'_, E>,
    ) -> Result<(), ApiError> {
        let Some(old) = self.get(name_of(config)) else {
            return Err(errors::CONSUMER_NOT_FOUND);
        };
        if action == ConsumerAction::Create && *config != old.config {
            return Err(errors::CONSUMER_ALREADY_EXISTS);
        }
        let account = request.core.account();
        check_consumer_update(&old.config, config, |subject| {
            request.env.has_interest(account, subject.as_bytes())
        })?;
        if request.core.config().retention == Retention::WorkQueue {
            let others = self.iter().filter(|c| c.id != old.id).map(|c| &c.config);
            check_work_queue(config, others)?;
        }
        // What a consumer was made as decides, whatever the change calls it.
        if !old.config.is_durable() {
            settle_inactivity(config);
        }
        Ok(())
    }

    fn check_new<E: Env>(
        &self,
        config: &ConsumerConfig,
        limits: &AccountLimits,
        request: &mut Request<'_, E>,
    ) -> Result<(), ApiError> {
        let own = request.core.config().max_consumers;
        // Memphis knows no such limit of its stations.
        let own = if own > 0 || request.call.rules != NameRules::Nats {
            own
        } else {
            request.shared.options.limits.default_max_consumers
        };
        let most = [own, limits.max_consumers];
        let most = most.into_iter().filter(|max| *max > 0).min();
        let count = i64::try_from(self.count_limited()).unwrap_or(i64::MAX);
        if !is_sourcing(config) && most.is_some_and(|most| count >= most) {
            return Err(errors::MAXIMUM_CONSUMERS_LIMIT);
        }
        if request.core.config().retention == Retention::WorkQueue {
            check_work_queue(config, self.iter().map(|c| &c.config))?;
        }
        check_name_length(config)
    }

    /// Settles what a stream asks for that copies from this one: where acks remove messages, a durable
    /// consumer that acknowledges; else one more of the name that it gives each of them.
    fn settle_copying<E: Env>(&self, config: &mut ConsumerConfig, request: &mut Request<'_, E>) {
        if request.core.config().retention == Retention::Limits {
            let name = self.generate_name(request);
            config.name = alloc::format!("{}-{name}", config.name);
            return;
        }
        config.direct = false;
        config.durable_name.clone_from(&config.name);
        config.ack_policy = AckPolicy::FlowControl;
        config.ack_wait = Nanos::ZERO;
        config.max_deliver = 0;
        config.inactive_threshold = Nanos::ZERO;
    }

    fn generate_name<E: Env>(&self, request: &mut Request<'_, E>) -> String {
        loop {
            let mut name = [0; NAME_LEN];
            request.env.rng().fill_base62(&mut name);
            let name = String::from_utf8_lossy(&name).into_owned();
            if self.get(&name).is_none() {
                return name;
            }
        }
    }

    /// Makes the consumer what `config` says, through the log if it is logged, and answers then.
    pub(super) fn put_config<E: Env>(
        &mut self,
        identity: Identity,
        config: ConsumerConfig,
        request: &mut Request<'_, E>,
    ) -> Result<(), ApiError> {
        let Identity { id, name, created } = identity;
        if config.sourcing {
            // Who copies by it asks for it again and again, and goes on behind what it has acknowledged.
            self.begin_again(id, request);
        }
        let create = ConsumerCreate {
            stream: request.core.id(),
            consumer: id,
            time: created,
            name: Bytes::copy_from_slice(name.as_bytes()),
            config: to_vec(&config).into(),
        };
        if !is_logged(&config, request.core) {
            self.put(&create, request.core, request.shared, request.env);
            self.answer_change(id, request);
            return Ok(());
        }
        let entry = if self.by_id.contains_key(&id) {
            Entry::ConsumerUpdate(create)
        } else {
            Entry::ConsumerCreate(create)
        };
        let scope = Scope::Consumer(request.core.id(), &name);
        propose(&entry, scope, request);
        Ok(())
    }
}

fn name_of(config: &ConsumerConfig) -> &str {
    if config.is_durable() {
        &config.durable_name
    } else {
        &config.name
    }
}

/// Proposes a change; its request is answered when it has been applied.
pub(super) fn propose<E: Env>(entry: &Entry, scope: Scope<'_>, request: &mut Request<'_, E>) {
    let pos = request.env.propose(|out| entry.encode(out));
    request.shared.replies.proposed(pos);
    let answer = Box::new(Answer::new(request.call));
    request.shared.replies.push_change(pos, scope, answer);
}
