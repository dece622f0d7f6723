//! The order of events in an answer: by time, and within one session at one time by event index.
//!
//! It is the seed's `ByTimeAndIndex` without its defect (FORMAT 5.8). The trap: "by time; at equal time, if the session
//! is the same, by `ei`" cannot be a comparison. At one time, let a be ei 2 of session s, b an event of another session,
//! c ei 1 of session s. Then a equals b, b equals c, and c is before a: a sort may do anything with that, and Go's
//! versions do different things. So the order is not given as a comparison but as what a sort makes of a list.

use super::{EventFields, EventIndex, EventTime, field_name};

/// What decides an event's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeAndIndex<'a> {
    /// When it happened; [`EventTime::ZERO`], which is first, where no time can be read.
    pub time: EventTime,
    /// Session ID; empty for an event of no session.
    pub sid: &'a str,
    /// The place within the session.
    pub event_index: EventIndex,
}

impl TimeAndIndex<'_> {
    /// What an event says of its place.
    pub fn of(fields: &EventFields) -> TimeAndIndex<'_> {
        TimeAndIndex {
            time: fields.get_timestamp(),
            sid: fields.get_string(field_name::SID),
            event_index: fields.get_event_index(),
        }
    }
}

/// Sorts events, oldest first (the seed's `ByTimeAndIndex`). Of events of one time, those of one session are put in the
/// order of `ei` into the places that session has; all others keep theirs. Stable, so the result depends on nothing but
/// the list, and sorting twice changes nothing. O(n log n).
pub fn sort_by_time_and_index<T>(events: &mut Vec<T>, place: impl Fn(&T) -> TimeAndIndex<'_>) {
    events.sort_by_cached_key(|event| place(event).time);
    let mut order = Vec::with_capacity(events.len());
    for run in events.chunk_by(|a, b| place(a).time == place(b).time) {
        let first = order.len();
        order.extend(first..first + run.len());
        if run.len() < 2 {
            continue;
        }
        let of = |number: &usize| {
            run.get(number - first)
                .map(&place)
                .filter(|place| !place.sid.is_empty())
        };
        // The places of each session, then the events of each session: two lists of the same sessions.
        let mut places: Vec<usize> = (first..first + run.len())
            .filter(|number| of(number).is_some())
            .collect();
        places.sort_by_key(|number| of(number).map(|place| place.sid));
        let mut sorted = places.clone();
        sorted.sort_by_key(|number| of(number).map(|place| (place.sid, place.event_index)));
        for (to, event) in places.into_iter().zip(sorted) {
            if let Some(slot) = order.get_mut(to) {
                *slot = event;
            }
        }
    }
    let mut taken: Vec<Option<T>> = std::mem::take(events).into_iter().map(Some).collect();
    events.extend(
        order
            .into_iter()
            .filter_map(|number| taken.get_mut(number).and_then(Option::take)),
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An event in four words: time, session, ei, and a mark to tell it from its equals.
    type Brief = (i64, String, i64, usize);

    fn place(event: &Brief) -> TimeAndIndex<'_> {
        TimeAndIndex {
            time: EventTime::from_ns(event.0),
            sid: &event.1,
            event_index: EventIndex(event.2),
        }
    }

    /// The stupid twin: as long as two events of one time and session are in the wrong order, exchange them.
    fn sort_naive(events: &mut [Brief]) {
        events.sort_by_key(|event| event.0);
        for _ in 0..events.len() {
            for a in 0..events.len() {
                let next = (a + 1..events.len()).find(|&b| {
                    events[b].0 == events[a].0
                        && !events[a].1.is_empty()
                        && events[b].1 == events[a].1
                });
                if let Some(b) = next
                    && events[b].2 < events[a].2
                {
                    events.swap(a, b);
                }
            }
        }
    }

    #[track_caller]
    fn check(before: &str, after: &str) {
        let mut events: Vec<EventFields> = before
            .lines()
            .map(|line| EventFields::from_json(line.trim().as_bytes()).unwrap())
            .collect();
        sort_by_time_and_index(&mut events, TimeAndIndex::of);
        let marks: Vec<&str> = events.iter().map(|event| event.get_string("m")).collect();
        assert_eq!(marks.join(" "), after);
    }

    #[test]
    fn times_are_compared_not_their_text() {
        check(
            r#"{"m":"c","time":"2018-05-01T07:58:40.5Z"}
               {"m":"b","time":"2018-05-01T07:58:40Z"}
               {"m":"a","time":"2018-05-01T09:58:39+02:00"}"#,
            "a b c",
        );
    }

    #[test]
    fn an_event_without_time_is_first() {
        check(
            r#"{"m":"c","time":"1969-05-01T07:58:40Z"}
               {"m":"a","time":"yesterday"}
               {"m":"b"}"#,
            "a b c",
        );
    }

    #[test]
    fn one_session_is_in_ei_order_and_others_keep_their_places() {
        check(
            r#"{"m":"s2","sid":"s","ei":2,"time":"2018-05-01T07:58:40Z"}
               {"m":"t","sid":"t","ei":0,"time":"2018-05-01T07:58:40Z"}
               {"m":"x9","ei":9,"time":"2018-05-01T07:58:40Z"}
               {"m":"s1","sid":"s","ei":1,"time":"2018-05-01T07:58:40Z"}
               {"m":"x1","ei":1,"time":"2018-05-01T07:58:40Z"}"#,
            "s1 t x9 s2 x1",
        );
    }

    proptest! {
        #[test]
        fn the_naive_twin_sorts_the_same(
            events in prop::collection::vec((0..3i64, "[st]?", 0..4i64), 0..24),
        ) {
            let events: Vec<Brief> =
                events.into_iter().enumerate().map(|(mark, (time, sid, ei))| (time, sid, ei, mark)).collect();
            let (mut ours, mut naive) = (events.clone(), events);
            sort_by_time_and_index(&mut ours, place);
            sort_naive(&mut naive);
            prop_assert_eq!(&ours, &naive);
            sort_by_time_and_index(&mut ours, place);
            prop_assert_eq!(&ours, &naive);
        }
    }
}
