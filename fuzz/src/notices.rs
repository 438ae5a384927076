//! What the kernel tells the flow log: its framing, and the packets of containers in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut owners = hakone_flow_model::Owners::default();
    owners.observe(Vec::new(), hakone_base::Timestamp::NEVER);
    let now = hakone_base::Timestamp::from_nanos(1);
    for notice in hakone_flow_model::notices(data) {
        if let hakone_flow_model::Notice::Told(refusal) = &notice {
            let record = hakone_flow_model::Teller::told(&owners, refusal, None, now).record();
            for format in ["json", "ocsf", "cef"] {
                let format: hakone_flow_model::Format = format.parse().unwrap();
                assert!(!format.line(&record).contains('\n'));
            }
        }
    }
    let (head, tail) = data.split_at(data.len().min(14));
    drop(hakone_flow_model::read_frame(head, tail));
    drop(hakone_flow_model::read_packet(data));
});
