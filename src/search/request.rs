//! What is searched for: the times, the query, and how many records at most.

use crate::event::EventTime;

use super::query::Query;
use super::search_error::SearchError;

/// Records in an answer where no limit is given (seed document).
pub const DEFAULT_LIMIT: usize = 500;
/// The most records that can be asked for (seed document; FORMAT 4).
pub const MAX_LIMIT: usize = 10_000;
/// Bytes of an answer that is held in memory, as lines of JSON.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A search that can be answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// Records before this time do not count. [`EventTime::ZERO`] also lets in the records without a readable time.
    pub from: EventTime,
    /// Records after this time do not count.
    pub to: EventTime,
    /// Which of them are wanted.
    pub query: Query,
    limit: usize,
}

impl Request {
    /// Records with a time in `from..=to` that match `query`: the newest `limit` of them, 0 for [`DEFAULT_LIMIT`].
    ///
    /// # Errors
    /// [`SearchError::Range`] if `to` is before `from`, [`SearchError::Limit`] beyond [`MAX_LIMIT`].
    pub fn new(
        from: EventTime,
        to: EventTime,
        query: Query,
        limit: usize,
    ) -> Result<Request, SearchError> {
        if to < from {
            return Err(SearchError::Range { from, to });
        }
        let limit = match limit {
            0 => DEFAULT_LIMIT,
            limit if limit > MAX_LIMIT => return Err(SearchError::Limit { limit }),
            limit => limit,
        };
        Ok(Request {
            from,
            to,
            query,
            limit,
        })
    }

    /// The same times and limit with another query.
    pub fn with_query(&self, query: Query) -> Request {
        let Request {
            from, to, limit, ..
        } = *self;
        Request {
            from,
            to,
            query,
            limit,
        }
    }

    /// At most so many records are wanted, the newest ones.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from_ns: i64, to_ns: i64, limit: usize, expected: Result<usize, &str>) {
        let [from, to] = [from_ns, to_ns].map(EventTime::from_ns);
        let request = Request::new(from, to, Query::default(), limit);
        let found = request
            .map(|request| request.limit())
            .map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn no_limit_is_500() {
        check(0, 1, 0, Ok(500));
    }

    #[test]
    fn ten_thousand_are_the_most() {
        check(0, 1, 10_000, Ok(10_000));
        check(
            0,
            1,
            10_001,
            Err("limit 10001 is too large; at most 10000 events can be asked for"),
        );
    }

    #[test]
    fn a_range_runs_forward() {
        check(5, 5, 1, Ok(1));
        check(
            1_000_000_000,
            0,
            1,
            Err("the range ends (1970-01-01T00:00:00Z) before it begins (1970-01-01T00:00:01Z)"),
        );
    }
}
