//! The catalogue of kernels. To add a kernel, write its entry in its family's file and one line in the list below.
//! Tests, documentation, stubs and benchmarks are generated from the list.

mod counts;
mod diff;
mod distinct;
mod exponential;
mod extrema;
mod histogram;
mod matrix;
mod median;
mod median_abs_deviation;
mod missing;
mod moments;
mod n_unique_approx;
mod order;
mod pairs;
mod picked;
mod product;
mod quantile_approx;
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
    &median::MEDIAN,
    &median::NANMEDIAN,
    &quantiles::QUANTILE,
    &quantiles::NANQUANTILE,
    &quantiles::PERCENTILE,
    &quantiles::NANPERCENTILE,
    &quantile_approx::QUANTILE_APPROX,
    &quantiles::IQR,
    &median_abs_deviation::MEDIAN_ABS_DEVIATION,
    &trimmed::TRIM_MEAN,
    &top::TOPK,
    &top::BOTTOMK,
    &top::ARGTOPK,
    &top::ARGBOTTOMK,
    &sorting::SORT,
    &sorting::ARGSORT,
    &order::IS_SORTED,
    &distinct::N_UNIQUE,
    &n_unique_approx::N_UNIQUE_APPROX,
    &distinct::UNIQUE,
    &distinct::VALUE_COUNTS,
    &distinct::MODE,
    &distinct::ENTROPY,
    &histogram::HISTOGRAM,
    &running::CUMSUM,
    &running::CUMPROD,
    &running::CUMMAX,
    &running::CUMMIN,
    &diff::DIFF,
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

/// The kernel with this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    #[cfg(feature = "test-kernels")]
    if name == counts::PANIC.name {
        return Some(&counts::PANIC);
    }
    CATALOGUE.iter().copied().find(|entry| entry.name == name)
}

/// The names of the kernels that take weights.
pub(crate) fn weighted() -> Vec<&'static str> {
    CATALOGUE.iter().filter(|entry| entry.weighted).map(|entry| entry.name).collect()
}

/// Names of the kernels in other libraries.
const SYNONYMS: &[(&str, &str)] = &[
    ("amax", "max"),
    ("amin", "min"),
    ("avg", "mean"),
    ("correlation", "corr"),
    ("covariance", "cov"),
    ("distinct", "n_unique"),
    ("hist", "histogram"),
    ("isna", "count_nan"),
    ("isnan", "count_nan"),
    ("isnull", "count_nan"),
    ("kurt", "kurtosis"),
    ("len", "count"),
    ("mad", "median_abs_deviation"),
    ("maximum", "max"),
    ("minimum", "min"),
    ("n_distinct", "n_unique"),
    ("null_count", "count_nan"),
    ("nunique", "n_unique"),
    ("pearson", "corr"),
    ("pearsonr", "corr"),
    ("percentiles", "percentile"),
    ("product", "prod"),
    ("quantiles", "quantile"),
    ("range", "ptp"),
    ("size", "count"),
    ("skewness", "skew"),
    ("spearman", "corr"),
    ("stddev", "std"),
    ("stdev", "std"),
    ("total", "sum"),
    ("variance", "var"),
];

/// The letters in which a similar name may differ.
const MOST_DIFFERENCES: usize = 2;

/// The kernel that has this name in other libraries.
pub fn synonym(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let part = name.strip_suffix('%').or_else(|| name.strip_prefix('p')).or_else(|| name.strip_prefix('q'));
    if part.is_some_and(|part| part.parse::<f64>().is_ok()) {
        return Some("quantile");
    }
    SYNONYMS.iter().find(|(known, _)| *known == name).map(|(_, found)| *found)
}

/// The kernel whose name has the most similar letters, if they are similar enough.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    // Short names allow few differences: `mad` and `mae` are different statistics.
    let letters = name.chars().count();
    // A name of another length differs by as many letters at least: the table of a very long one is not made.
    let alike = CATALOGUE.iter().filter(|entry| entry.name.len().abs_diff(letters) <= MOST_DIFFERENCES);
    let near = alike.map(|entry| (distance(&name, entry.name), entry.name));
    near.filter(|(distance, found)| *distance <= (found.len().min(letters) / 4).min(MOST_DIFFERENCES))
        .min()
        .map(|(_, found)| found)
}

/// The least number of insertions, deletions, replacements and swaps of neighbouring letters (optimal string alignment:
/// L. Boytsov, ACM Journal of Experimental Algorithmics 16 (2011), 1.1, section 2.2).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(left[i - 1] != right[j - 1]);
                let best = (table[i - 1][j - 1] + differs).min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
                if swapped { best.min(table[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    table[left.len()][right.len()]
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
        assert_eq!(nearest("medain"), Some("median"));
        assert_eq!(nearest("something else"), None);
        // Never another statistic.
        assert_eq!(
            [nearest("mab"), nearest("mex"), nearest("cumsam"), nearest("")],
            [None, None, Some("cumsum"), None]
        );
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn synonyms_are_of_kernels_and_no_kernels_themselves() {
        for (known, found) in SYNONYMS {
            assert_eq!(synonym(known), Some(*found));
            assert!(find(known).is_none() && find(found).is_some(), "{known}");
        }
        assert_eq!(
            [synonym("P95"), synonym("25%"), synonym("99.9%"), synonym("pth"), synonym("meen")],
            [Some("quantile"), Some("quantile"), Some("quantile"), None, None]
        );
    }
}
