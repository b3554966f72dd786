//! Messages about orders: prescriptions, injections, meals, laboratory.

use std::fmt;

use super::analytes::Specimen;
use super::catalogue::MEALS;
use super::chart::{Body, Order, Report, Value};
use super::hl7::{Control, Location, Sent, Stamp, msh, orc, pid, pv1, staff};
use super::labs::{decimal, flag, range};
use super::person::{Person, Sex};
use super::text::Message;

/// What a message says of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// As it was given first, where it was changed later.
    First,
    /// As it stands.
    Standing,
    /// That it is taken back.
    Cancelled,
}

fn control(order: &Order, word: Word, group: Option<usize>) -> Control {
    let code = match word {
        Word::Cancelled => "CA",
        Word::Standing if order.amended.is_some() => "XO",
        Word::First | Word::Standing => "NW",
    };
    Control {
        code,
        number: order.number,
        filler: None,
        group,
        status: "",
        at: order.ordered,
        care: order.care,
    }
}

/// OMP-01, OMP-02, OMD or OML-01.
pub(super) fn order(
    message: &mut Message,
    sent: Sent,
    person: &Person,
    order: &Order,
    word: Word,
) -> fmt::Result {
    let event = match order.body {
        Body::Prescription { .. } | Body::Injection { .. } => "RDE^O11^RDE_O11",
        Body::Meal { .. } => "OMD^O03^OMD_O03",
        Body::Lab { .. } => "OML^O33^OML_O33",
    };
    msh(message, sent, event)?;
    pid(message, person)?;
    pv1(message, order.care)?;
    match order.body {
        Body::Prescription { .. } => prescription(message, order, word),
        Body::Injection { .. } => injection(message, order, word),
        Body::Meal { .. } => meal(message, order, word),
        Body::Lab { .. } => laboratory(message, order, word),
    }
}

fn prescription(message: &mut Message, order: &Order, word: Word) -> fmt::Result {
    let Body::Prescription { lines, days, days_before } = &order.body else { return Ok(()) };
    let days = if word == Word::First { days_before } else { days };
    let place = match order.care.bed {
        Some(_) => "IHP^入院処方^MR9P~FTP^定時処方^99I01",
        None => "OHP^外来処方^MR9P~OHI^院内処方^MR9P",
    };
    for (line, drug) in (1..).zip(lines) {
        orc(message, &control(order, word, Some(line)))?;
        let (unit, usage) = (drug.unit, drug.usage);
        message.segment(format_args!(
            "RXE||{}^{}^99XYZ|1||{unit_code}^{unit_name}^MR9P|||||{}|{unit_code}^{unit_name}^MR9P||||{:015}||||\
             {}^{unit_code}&{unit_name}&MR9P||{place}",
            drug.code,
            drug.name,
            usage.per_day * days,
            order.number,
            usage.per_day,
            unit_code = unit.code,
            unit_name = unit.name,
        ))?;
        message.segment(format_args!(
            "TQ1|1||{}&{}&JAMISDP01|||{days}^d|{}",
            usage.code,
            usage.name,
            Stamp(order.ordered)
        ))?;
        message.segment(format_args!("RXR|PO^口^HL70162"))?;
    }
    Ok(())
}

fn injection(message: &mut Message, order: &Order, word: Word) -> fmt::Result {
    let Body::Injection { fluid, additive, start, end, .. } = order.body else { return Ok(()) };
    orc(message, &control(order, word, Some(1)))?;
    message.segment(format_args!(
        "RXE||00^一般^99I02|{}||ML^ミリリットル^MR9P|INJ^注射剤^MR9P|||||||||{:015}||||||IHP^入院処方^MR9P~FTP^定時処方^99I01",
        fluid.millilitres + additive.millilitres,
        order.number
    ))?;
    message.segment(format_args!("TQ1|1||||||{}|{}", Stamp(start), Stamp(end)))?;
    message.segment(format_args!("RXR|IV^静脈内^HL70162||IVP^点滴ポンプ^HL70164"))?;
    for (kind, part) in [('B', fluid), ('A', additive)] {
        message.segment(format_args!(
            "RXC|{kind}|{}^{}^99XYZ|1|{}^{}^MR9P",
            part.code, part.name, part.unit.code, part.unit.name
        ))?;
    }
    Ok(())
}

/// OMP-12: that the drip was given.
pub(super) fn given(message: &mut Message, sent: Sent, person: &Person, order: &Order) -> fmt::Result {
    let Body::Injection { fluid, additive, start, end, .. } = order.body else { return Ok(()) };
    msh(message, sent, "RAS^O17^RAS_O17")?;
    pid(message, person)?;
    pv1(message, order.care)?;
    orc(message, &control(order, Word::Standing, Some(1)))?;
    for part in [fluid, additive] {
        message.segment(format_args!(
            "RXA|0|1|{}|{}|{}^{}^99XYZ|1|{}^{}^MR9P|||N0001^看護^花子^^^^^^^L^^^^^I|{}|||||||||CP||{}",
            Stamp(start),
            Stamp(end),
            part.code,
            part.name,
            part.unit.code,
            part.unit.name,
            Location(order.care),
            Stamp(sent.at)
        ))?;
    }
    message.segment(format_args!("RXR|IV^静脈内^HL70162||IVP^点滴ポンプ^HL70164"))
}

fn meal(message: &mut Message, order: &Order, word: Word) -> fmt::Result {
    let Body::Meal { meal, meal_before, banned, from } = order.body else { return Ok(()) };
    let meal = &MEALS[if word == Word::First { meal_before } else { meal }];
    orc(message, &control(order, word, None))?;
    message.segment(format_args!("TQ1|1||TID&１日３回&HL70335||||{}||R^ルーチン^HL70485", Stamp(from)))?;
    message.segment(format_args!("ODS|D||{}^{}^99XYZ|{}", meal.code, meal.name, meal.restriction))?;
    match banned {
        Some(banned) => message.segment(format_args!("ODS|P||900^{banned}^99XYZ|食物アレルギーのため")),
        None => Ok(()),
    }
}

fn laboratory(message: &mut Message, order: &Order, word: Word) -> fmt::Result {
    let Body::Lab { collected, values, .. } = &order.body else { return Ok(()) };
    let mut set = 0;
    for specimen in Specimen::ALL {
        if !values.iter().any(|value| value.specimen() == specimen) {
            continue;
        }
        set += 1;
        let (material, name) = specimen.material();
        let (bench, bench_name) = specimen.bench();
        message
            .segment(format_args!("SPM|{set}|||{material}^{name}^JC10|||||||||||||{}", Stamp(*collected)))?;
        orc(message, &control(order, word, None))?;
        message.segment(format_args!(
            "OBR|{set}|{:015}||{bench}^{bench_name}^99XYZ||||||||||||{}",
            order.number,
            staff(order.care)
        ))?;
        for (line, value) in (1..).zip(values.iter().filter(|value| value.specimen() == specimen)) {
            let (code, name, system) = value.identifier();
            message.segment(format_args!("OBX|{line}||{code}^{name}^{system}||||||||O"))?;
        }
    }
    Ok(())
}

/// OML-11: what the laboratory found.
pub(super) fn result(
    message: &mut Message,
    sent: Sent,
    person: &Person,
    order: &Order,
    report: Report,
) -> fmt::Result {
    let Body::Lab { collected, values, .. } = &order.body else { return Ok(()) };
    msh(message, sent, "OUL^R22^OUL_R22")?;
    pid(message, person)?;
    pv1(message, order.care)?;
    let mut set = 0;
    for specimen in Specimen::ALL {
        if !values.iter().any(|value| value.specimen() == specimen) {
            continue;
        }
        set += 1;
        let (material, name) = specimen.material();
        let (bench, bench_name) = specimen.bench();
        let filler = order.number * 10 + set;
        let collected = Stamp(*collected);
        message.segment(format_args!(
            "SPM|{set}|{filler:016}||{material}^{name}^JC10|||||||||||||{collected}"
        ))?;
        message.segment(format_args!(
            "OBR|{set}|{:015}|{filler:016}|{bench}^{bench_name}^99XYZ|||{collected}|{collected}||||||||{}||||||{}",
            order.number,
            staff(order.care),
            Stamp(report.at)
        ))?;
        let status = if report.is_final { "CM" } else { "IP" };
        let base = control(order, Word::Standing, None);
        orc(message, &Control { code: "SC", filler: Some(filler), status, at: report.at, ..base })?;
        for (line, value) in (1..).zip(values.iter().filter(|value| value.specimen() == specimen)) {
            observation(message, line, value, person.sex, report, &collected)?;
        }
    }
    Ok(())
}

fn observation(
    message: &mut Message,
    line: u32,
    value: &Value,
    sex: Sex,
    report: Report,
    collected: &Stamp,
) -> fmt::Result {
    let status = if report.is_final { 'F' } else { 'P' };
    let (code, name, system) = value.identifier();
    match value {
        Value::Measured { test, value } => {
            let analyte = test.analyte();
            message.segment(format_args!(
                "OBX|{line}|NM|{code}^{name}^{system}||{}|{unit}^{unit}^99XYZ|{}|{}|||{status}|||{collected}",
                decimal(*value, analyte.decimals),
                range(analyte, sex),
                flag(analyte, sex, *value),
                unit = analyte.unit,
            ))
        }
        Value::Screened { positive, .. } => message.segment(format_args!(
            "OBX|{line}|ST|{code}^{name}^{system}||{}||(-)|{}|||{status}|||{collected}",
            if *positive { "(+)" } else { "(-)" },
            if *positive { "A" } else { "" },
        )),
    }
}

impl Value {
    fn specimen(&self) -> Specimen {
        match self {
            Self::Measured { test, .. } => test.analyte().specimen,
            Self::Screened { .. } => Specimen::Serum,
        }
    }

    /// Code, name and coding system.
    pub(super) fn identifier(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Measured { test, .. } => {
                let analyte = test.analyte();
                (analyte.code, analyte.name, analyte.system)
            }
            Self::Screened { screening, .. } => (screening.code, screening.name, "JC10"),
        }
    }
}
