//! Student's t-distribution, as far as a test needs it.

/// How probable a t at least as far from 0 is, with so many degrees of freedom, a whole number.
///
/// It is I(x; a, b), the regularised incomplete beta function, for x = f / (f + t²), a = f / 2 and b = 1/2 (DLMF 8.17.1
/// and Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions 2, equation 28.4), by the continued fraction
/// of `DiDonato` & Morris (ACM Transactions on Mathematical Software 18 (1992), 360–373, equation 9) for t² ≥ 1, and by
/// I(x; a, b) = 1 − I(1 − x; b, a) below.
pub(crate) fn two_sided(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom.is_nan() {
        return f64::NAN;
    }
    let square = t * t;
    if square.is_infinite() {
        return 0.0;
    }
    let (a, b) = (freedom / 2.0, 0.5);
    let (x, rest) = (freedom / (freedom + square), square / (freedom + square));
    // x^a (1 − x)^b / B(a, b), with B(a, 1/2) = √π Γ(a) / Γ(a + 1/2).
    let power = (-a * (square / freedom).ln_1p()).exp() * rest.sqrt();
    let front = power * gamma_ratio(freedom) / std::f64::consts::PI.sqrt();
    if square >= 1.0 { front / fraction(a, b, x, rest) } else { 1.0 - front / fraction(b, a, rest, x) }
}

/// Γ(a + 1/2) / Γ(a) for a = f / 2, f being a whole number: by the recurrence from 1/2 or 1 on, or by the series for
/// large a (DLMF 5.11.13).
fn gamma_ratio(freedom: f64) -> f64 {
    let a = freedom / 2.0;
    if freedom > 200.0 {
        let r = 1.0 / a;
        let terms = [1.0, -1.0 / 8.0, 1.0 / 128.0, 5.0 / 1024.0, -21.0 / 32768.0, -399.0 / 262_144.0];
        return a.sqrt() * terms.iter().rev().fold(0.0, |sum, term| sum * r + term);
    }
    let root = std::f64::consts::PI.sqrt();
    let (mut place, mut ratio) = if freedom % 2.0 == 1.0 { (0.5, 1.0 / root) } else { (1.0, root / 2.0) };
    while place < a {
        ratio *= (place + 0.5) / place;
        place += 1.0;
    }
    ratio
}

/// β₁ + α₂ / (β₂ + α₃ / …) for x and y = 1 − x, by Lentz's method as modified by Thompson & Barnett (Journal of
/// Computational Physics 64 (1986), 490–509). (The fraction DLMF 8.17.22 loses digits where x is near 1.)
fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let lambda = a * y - b * x;
    let mut value = a / (a + 1.0) * (lambda + 1.0);
    let (mut c, mut d) = (value, 0.0);
    for step in 1..10_000 {
        let n = f64::from(step);
        let alpha =
            (a + n - 1.0) * (a + b + n - 1.0) / ((a + 2.0 * n - 1.0) * (a + 2.0 * n - 1.0)) * n * (b - n) * x * x;
        let beta =
            n + n * (b - n) * x / (a + 2.0 * n - 1.0) + (a + n) / (a + 2.0 * n + 1.0) * (lambda + 1.0 + n * (1.0 + y));
        d = 1.0 / away_from_zero(beta + alpha * d);
        c = away_from_zero(beta + alpha / c);
        let change = c * d;
        value *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::two_sided;

    /// Computed with 80 decimal digits from the series of DLMF 15.2.1; two of them, which that takes too long for, by
    /// SciPy.
    #[test]
    #[allow(clippy::unreadable_literal)]
    fn probabilities_are_those_of_scipy() {
        let known = [
            (0.5, 1.0, 0.7048327646991335),
            (1.0, 2.0, 0.4226497308103742),
            (-2.0, 3.0, 0.1393259685588432),
            (3.5, 10.0, 0.005726505429885216),
            (1.2, 99.0, 0.2330031276704025),
            (0.3, 200.0, 0.764488730189328),
            (2.5, 201.0, 0.013219126453802063),
            (1.0, 1000.0, 0.3175524180846723),
            (4.0, 1000000.0, 6.33470340100481e-05),
            (0.01, 19999998.0, 0.9920212874704774),
            (30.0, 50.0, 1.2380022795987244e-33),
            (8.0, 100000.0, 1.2573919876256373e-15),
        ];
        for (t, freedom, p) in known {
            let own = two_sided(t, freedom);
            assert!((own - p).abs() <= 1e-13 * p, "{t}, {freedom}: {own} instead of {p}");
        }
        assert!(two_sided(f64::NAN, 3.0).is_nan());
        assert!(two_sided(f64::INFINITY, 3.0) == 0.0);
        assert!(two_sided(0.0, 3.0) == 1.0);
    }
}
