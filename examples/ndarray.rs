//! Statistics of arrays of `ndarray`: over all elements, along an axis, with parameters, and what is told of mistakes.
//!
//! ```text
//! cargo run --no-default-features --example ndarray
//! ```

use fanfold::array::{Answer, Kernel, Run};
use fanfold::error::Error;
use ndarray::{Array2, Axis, s};

fn main() -> Result<(), Error> {
    // A year of days at five stations: one row a day, each a little warmer than the one before, until July.
    let days = Array2::from_shape_fn((365, 5), |(day, station)| {
        let season = 10.0 - 12.0 * (std::f64::consts::TAU * day as f64 / 365.0).cos();
        season + station as f64
    });

    // All elements, read once for all kernels.
    let run = Run::new(["mean", "std", "median", "argmax"])?;
    let all = run.over(days.view())?;
    println!("mean {:.3}, std {:.3}, median {:.3}", all.number("mean")?, all.number("std")?, all.number("median")?);

    // An answer for each station, and for each station in reverse order in July: any view will do, and nothing is copied.
    let stations = run.along(days.view(), Axis(0))?;
    println!("mean of each station {:.3}", stations.array::<f64>("mean")?);
    println!("warmest day of each  {}", stations.array::<i64>("argmax")?);
    let july = run.along(days.slice(s![181..212, ..;-1]), Axis(0))?;
    println!("the same in July     {:.3}", july.array::<f64>("mean")?);

    // Parameters are those of docs/kernels.md, and are checked here.
    let quantiles = Kernel::new("quantile").with("q", [0.1, 0.9]);
    let histogram = Kernel::new("histogram").with("bins", 6).with("range", (-5.0, 30.0)).named("degrees");
    let answers = Run::new([quantiles, histogram, Kernel::new("cumsum")])?.workers(2).over(days.view())?;
    println!("deciles 1 and 9      {:.3}", answers.array::<f64>("quantile")?);
    if let Answer::Record(_, fields) = answers.get("degrees")?
        && let [Answer::Array(counts), _] = fields.as_slice()
        && let Some(counts) = counts.get::<i64>()
    {
        println!("days in six ranges   {counts}");
    }
    println!("running totals       {}", answers.array::<f64>("cumsum")?.len());

    // A mistake is an error that says what would have been right; where one kernel fails, the others answer.
    for mistake in [Run::new(["medain"]), Run::new([Kernel::new("quantile").with("q", 90)])] {
        println!("{}", mistake.map_or_else(|error| error.to_string(), |_| "no mistake".to_owned()));
    }
    let nothing = Run::new(["max", "sum"])?.over(days.slice(s![..0, ..]))?;
    for (key, answer) in nothing.iter() {
        match answer {
            Ok(answer) => println!("{key}: {answer:?}"),
            Err(error) => println!("{key}: {error}"),
        }
    }
    Ok(())
}
