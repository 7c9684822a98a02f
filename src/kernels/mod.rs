//! The catalogue. A kernel is a block of its family's file and one line of the list below; tests, documentation, stubs
//! and benchmarks follow from the list.

mod approximate;
mod counts;
mod distinct;
mod exponential;
mod extrema;
mod histogram;
mod matrix;
mod missing;
mod moments;
mod order;
mod pairs;
mod product;
mod quantiles;
mod rescaled;
mod rolling;
mod running;
mod scores;
mod sorting;
mod sums;
mod top;
mod trimmed;
mod weighted;
mod widths;

use crate::kernel::Entry;

pub(crate) use missing::missing;

/// Every kernel, in the order of the documentation.
pub static CATALOGUE: &[&Entry] = &[
    &counts::COUNT,
    &missing::COUNT_NAN,
    &counts::COUNT_INF,
    &counts::COUNT_NONZERO,
    &counts::ANY,
    &counts::ALL,
    &sums::SUM,
    &sums::NANSUM,
    &product::PROD,
    &product::NANPROD,
    &sums::MEAN,
    &sums::NANMEAN,
    &sums::AVERAGE,
    &moments::VAR,
    &moments::NANVAR,
    &moments::STD,
    &moments::NANSTD,
    &moments::SEM,
    &moments::SKEW,
    &moments::KURTOSIS,
    &moments::MOMENT,
    &extrema::MIN,
    &extrema::NANMIN,
    &extrema::MAX,
    &extrema::NANMAX,
    &extrema::PTP,
    &extrema::ARGMIN,
    &extrema::NANARGMIN,
    &extrema::ARGMAX,
    &extrema::NANARGMAX,
    &sums::NORM,
    &sums::RMS,
    &sums::MEAN_ABS,
    &product::GMEAN,
    &sums::HMEAN,
    &exponential::LOGSUMEXP,
    &quantiles::MEDIAN,
    &quantiles::NANMEDIAN,
    &quantiles::QUANTILE,
    &quantiles::NANQUANTILE,
    &quantiles::PERCENTILE,
    &quantiles::NANPERCENTILE,
    &approximate::QUANTILE_APPROX,
    &quantiles::IQR,
    &quantiles::MEDIAN_ABS_DEVIATION,
    &trimmed::TRIM_MEAN,
    &top::TOPK,
    &top::BOTTOMK,
    &top::ARGTOPK,
    &top::ARGBOTTOMK,
    &sorting::SORT,
    &sorting::ARGSORT,
    &order::IS_SORTED,
    &distinct::N_UNIQUE,
    &approximate::N_UNIQUE_APPROX,
    &distinct::UNIQUE,
    &distinct::VALUE_COUNTS,
    &distinct::MODE,
    &distinct::ENTROPY,
    &histogram::HISTOGRAM,
    &running::CUMSUM,
    &running::CUMPROD,
    &running::CUMMAX,
    &running::CUMMIN,
    &running::DIFF,
    &scores::ZSCORE,
    &scores::RANK,
    &rolling::ROLLING_SUM,
    &rolling::ROLLING_MEAN,
    &rolling::ROLLING_VAR,
    &rolling::ROLLING_STD,
    &rolling::ROLLING_MIN,
    &rolling::ROLLING_MAX,
    &rolling::ROLLING_MEDIAN,
    &rolling::ROLLING_QUANTILE,
    &weighted::EWM_MEAN,
    &pairs::COV,
    &pairs::CORR,
    &pairs::DOT,
    &pairs::LINREGRESS,
    &pairs::RMSE,
    &pairs::MAE,
    &matrix::COV_MATRIX,
    &matrix::CORR_MATRIX,
];

/// The kernel of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    #[cfg(feature = "test-kernels")]
    if name == counts::PANIC.name {
        return Some(&counts::PANIC);
    }
    CATALOGUE.iter().copied().find(|entry| entry.name == name)
}

/// The names of those whose elements can have weights.
pub(crate) fn weighted() -> Vec<&'static str> {
    CATALOGUE.iter().filter(|entry| entry.weighted).map(|entry| entry.name).collect()
}

/// The kernel whose name is most like this one, if one is much like it.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let near = CATALOGUE.iter().map(|entry| (distance(&name, entry.name), entry.name));
    near.filter(|(distance, found)| *distance <= 1 + found.len() / 4).min().map(|(_, found)| found)
}

/// Levenshtein's edit distance: the fewest insertions, deletions and replacements of a letter.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (place, &b) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *place;
            before = replaced.min(diagonal + 1).min(before + 1);
            *place = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn entries_are_complete() {
        for entry in CATALOGUE {
            assert!(![entry.name, entry.doc, entry.numpy].contains(&""), "{entry:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest("meen"), Some("mean"));
        assert_eq!(nearest("Mean"), Some("mean"));
        assert_eq!(nearest("kurtsis"), Some("kurtosis"));
        assert_eq!(nearest("stddev"), None);
        assert_eq!(nearest("something else"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
