//! The codes of statuses and reasons in SQL, the same in both stores. They are literals in the
//! statements, so that the planner knows their values.

macro_rules! codes {
    ($($name:ident = $code:literal),+) => {
        $(macro_rules! $name {
            () => { $code };
        })+
        pub(crate) use {$($name),+};
    };
}

codes! { pending = 0, in_progress = 1, completed = 2, cancelled = 3 }
codes! { hero_request = 1, allergy = 2, hero_gone = 3, meal_gone = 4, undeliverable = 5 }

// Conditions on the column `status`: `active` orders can still change, `ended` ones have their last
// status.
codes! { active = "status in (0, 1)", ended = "status in (2, 3)" }

#[cfg(test)]
mod tests {
    use galley_protocol::{Reason, Status};

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
    }
}
