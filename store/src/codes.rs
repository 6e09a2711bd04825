//! The codes of statuses and reasons in SQL, the same in both stores. They are literals in the
//! statements, so that the planner knows their values.

macro_rules! codes {
    ($($name:ident = $code:expr),+) => {
        $(macro_rules! $name {
            () => { $code };
        })+
        pub(crate) use {$($name),+};
    };
}

codes! { pending = 0, in_progress = 1, completed = 2, cancelled = 3 }
codes! { hero_request = 1, allergy = 2, hero_gone = 3, meal_gone = 4, undeliverable = 5 }

// Conditions on `status`: `active` orders can still change, `ended` ones cannot.
codes! {
    active = "status in (0, 1)", ended = "status in (2, 3)",
    claimable = concat!("status = ", crate::codes::pending!())
}

// The counts of the active orders, in columns that are named like their statuses.
codes! {
    active_counts = concat!(
        "count(*) filter (where status = ", crate::codes::pending!(), ") as pending,
         count(*) filter (where status = ", crate::codes::in_progress!(), ") as in_progress"
    )
}

#[cfg(test)]
mod tests {
    use galley_protocol::{Reason, Status, Transition};

    #[test]
    fn the_numbers_are_those_of_the_life_cycle() {
        let statuses = [pending!(), in_progress!(), completed!(), cancelled!()];
        assert_eq!(Status::ALL.map(Status::code), statuses);
        let reasons = [hero_request!(), allergy!(), hero_gone!(), meal_gone!(), undeliverable!()];
        assert_eq!(Reason::ALL.map(Reason::code), reasons);
    }

    #[test]
    fn an_order_is_active_or_has_ended() {
        let condition = |is_active| {
            let fitting = Status::ALL.into_iter().filter(|status| status.is_active() == is_active);
            let codes: Vec<String> = fitting.map(|status| status.code().to_string()).collect();
            format!("status in ({})", codes.join(", "))
        };
        assert_eq!([active!(), ended!()], [condition(true), condition(false)]);
        let can_start = |status: &Status| status.step(Transition::Start).is_some();
        let codes: Vec<i16> = Status::ALL.into_iter().filter(can_start).map(Status::code).collect();
        assert_eq!(codes, [pending!()]);
    }
}
