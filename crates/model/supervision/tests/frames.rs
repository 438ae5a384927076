//! Laws of the frame codec: cutting never changes the stream, and no bytes make it panic.

#[cfg(test)]
mod tests {
    use hakone_supervision::{Decoder, Frame, FrameKind, HEADER, frame};
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let kind = prop::sample::select(vec![
            FrameKind::Stdin,
            FrameKind::Stdout,
            FrameKind::Stderr,
            FrameKind::Request,
            FrameKind::Reply,
            FrameKind::Notice,
        ]);
        let frame = (kind, prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(kind, payload)| Frame { kind, payload });
        prop_oneof![
            9 => frame,
            1 => Just(Frame { kind: FrameKind::CloseStdin, payload: Vec::new() }),
        ]
    }

    fn drain(decoder: &mut Decoder) -> Vec<Frame> {
        std::iter::from_fn(|| decoder.next_frame().unwrap()).collect()
    }

    proptest! {
        /// However the stream is cut into reads, the frames come out as they went in.
        #[test]
        fn frames_survive_any_cut(
            frames in prop::collection::vec(any_frame(), 0..20),
            cut in 1..50_usize,
        ) {
            let stream: Vec<u8> = frames
                .iter()
                .flat_map(|each| frame(each.kind, &each.payload).unwrap())
                .collect();
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                seen.extend(drain(&mut decoder));
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(!decoder.is_mid_frame());
        }

        /// Hostile bytes give frames within limits or an error, never a panic.
        #[test]
        fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            let mut total = 0;
            while let Ok(Some(frame)) = decoder.next_frame() {
                total += HEADER + frame.payload.len();
                prop_assert!(frame.payload.len() <= frame.kind.limit());
            }
            prop_assert!(total <= bytes.len());
        }
    }
}
