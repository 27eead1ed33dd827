#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    /// Complex numbers by their parts.
    struct Parts {
        let re: Term
        let im: Term

        init(_ re: Term, _ im: Term) {
            self.re = re
            self.im = im
        }

        init(_ complex: Term) {
            let graph = complex.graph
            re = Term(graph.realPartOfTensor(tensor: complex.tensor, name: nil), graph)
            im = Term(graph.imaginaryPartOfTensor(tensor: complex.tensor, name: nil), graph)
        }

        /// The complex numbers again.
        var joined: Term {
            let sizes = (try? MIL.broadcast(re.sizes, im.sizes)) ?? re.sizes
            let (x, y) = (re.broadcast(sizes), im.broadcast(sizes))
            return Term(
                re.graph.complexTensor(realTensor: x.tensor, imaginaryTensor: y.tensor, name: nil), re.graph)
        }

        static prefix func - (z: Parts) -> Parts { Parts(-z.re, -z.im) }
        static func * (z: Parts, factor: Double) -> Parts { Parts(z.re * factor, z.im * factor) }
        static func * (z: Parts, w: Parts) -> Parts {
            Parts(z.re * w.re - z.im * w.im, z.re * w.im + z.im * w.re)
        }

        /// i · z.
        var turned: Parts { Parts(-im, re) }
        /// -i · z.
        var turnedBack: Parts { Parts(im, -re) }

        /// The quotient 1 / z by Smith's way, whose steps stay within range.
        var reciprocal: Parts {
            let isWide = re.magnitude >= im.magnitude
            let (ratio, inverse) = (im / re, re / im)
            let (wide, high) = (1 / (re + im * ratio), 1 / (im + re * inverse))
            let isNone = (re == 0) && (im == 0)
            return Parts(
                isNone.choose(.infinity, isWide.choose(wide, inverse * high)),
                isNone.choose(.nan, isWide.choose(-ratio * wide, -high)))
        }
    }

    // MARK: Functions

    extension Parts {
        var isNaN: Term { re.isNaN || im.isNaN }
        var isInfinite: Term { re.isInfinite || im.isInfinite }
        var isFinite: Term { re.isFinite && im.isFinite }
        var magnitude: Term { re.hypot(im) }

        /// The direction of z. An infinite part leaves nothing of a finite one.
        var sign: Parts {
            let size = magnitude
            let isNone = isNaN || (re.isInfinite && im.isInfinite)
            func part(_ x: Term) -> Term {
                let end = x.isInfinite.choose(x.isMinus.choose(-1, x.number(1)), 0)
                let inner = (size == 0).choose(0, x / size)
                return isNone.choose(.nan, isInfinite.choose(end, inner))
            }
            return Parts(part(re), part(im))
        }

        var exp: Parts {
            let size = re.exp
            let isLost = !im.isFinite
            let isVanished = isLost && (re.number(-.infinity) == re)
            let isBoundless = isLost && (re.number(.infinity) == re)
            let x = isVanished.choose(0, isBoundless.choose(.infinity, size * im.cos))
            let y = isVanished.choose(0, (im == 0).choose(im, size * im.sin))
            return Parts(x, y)
        }

        /// e^z - 1, exact also near 0.
        var expm1: Parts {
            let half = (im * 0.5).sin
            let power = exp
            let near = re.expm1 * im.cos - 2 * (half * half)
            return Parts(isFinite.choose(near, power.re - 1), power.im)
        }

        var log: Parts { Parts(magnitude.log, im.atan2(re)) }

        /// ln(1 + z), exact also near 0: |1 + z|² - 1 = a (2 + a) + b².
        var log1p: Parts {
            let isNear = (re.magnitude < 0.5) && (im.magnitude < 0.5)
            let far = Parts(re + 1, im).log
            return Parts(isNear.choose((re * (re + 2) + im * im).log1p * 0.5, far.re), far.im)
        }

        var squareRoot: Parts {
            let size = ((re.magnitude + magnitude) * 0.5).squareRoot
            let other = (size == 0).choose(0, im / (size * 2))
            let isRight = re >= 0
            let x = isRight.choose(size, re.isNaN.choose(re, other.magnitude))
            let y = isRight.choose(other, re.isNaN.choose(re, size.withSign(of: im)))
            // An infinite imaginary part outweighs everything.
            return Parts(im.isInfinite.choose(.infinity, x), (im.isInfinite || (im == 0 && isRight)).choose(im, y))
        }

        var sinh: Parts {
            let isLost = re.isInfinite && !im.isFinite
            let x = isLost.choose(.infinity, (re == 0).choose(re, re.sinh * im.cos))
            let y = (im == 0).choose(im, re.cosh * im.sin)
            return Parts(x, y)
        }

        var sin: Parts {
            let turned = self.turned.sinh.turnedBack
            let isLost = im.isInfinite && !re.isFinite
            return Parts(turned.re, isLost.choose(.infinity, turned.im))
        }

        var cosh: Parts {
            let isLost = re.isInfinite && !im.isFinite
            let x = isLost.choose(.infinity, re.cosh * im.cos)
            let y = (re == 0 || im == 0).choose(0, re.sinh * im.sin)
            return Parts(x, y)
        }

        /// By Kahan's formula of tan b and sinh a; far out only the sign of a is left.
        var tanh: Parts {
            let (tangent, sine) = (im.tan, re.sinh)
            let beta = 1 + tangent * tangent
            let below = 1 + beta * (sine * sine)
            let (near, slope) = (beta * (1 + sine * sine).squareRoot * sine / below, tangent / below)
            let isFar = re.magnitude > 9
            let small = 4 * (im.sin * im.cos) * (re.magnitude * -2).exp
            let one = re.isMinus.choose(-1, re.number(1))
            let y = re.isInfinite.choose(0, isFar.choose(small, slope))
            let isLost = !re.isInfinite && !im.isFinite
            let x = isLost.choose(.nan, isFar.choose(one, near))
            return Parts((re == 0).choose(re, x), (im == 0).choose(im, isLost.choose(.nan, y)))
        }

        /// By Hull, Fairgrieve and Tang: no cancellation anywhere.
        var asinh: Parts {
            // For asin of y + ix: both are taken as positive, and get their signs back.
            let (x, y) = (im.magnitude, re.magnitude)
            let (r, s) = ((x + 1).hypot(y), (x - 1).hypot(y))
            let a = (r + s) * 0.5
            let isInner = x < 1
            let (square, right, left) = (y * y, r + (x + 1), s + (1 - x).magnitude)
            let behind = isInner.choose((left == 0).choose(0, square / left), s + (x - 1))
            let excess = (square / right + behind) * 0.5
            let size = (excess + (excess * (a + 1)).squareRoot).log1p
            let inner = ((a + x) * (square / right + (s + (1 - x))) * 0.5).squareRoot
            let outer = y * (((a + x) / right + (left == 0).choose(0, (a + x) / left)) * 0.5).squareRoot
            let angle = x.atan2((x > 1).choose(outer, inner))
            func box(_ value: Term) -> Term { value.isNaN.choose(value, value.isInfinite.choose(1, value.number(0))) }
            let farAngle = box(x).atan2(box(y))
            let isKnown = (im == 0) && re.isNaN
            return Parts(
                isInfinite.choose(.infinity, size).withSign(of: re),
                isKnown.choose(0, isInfinite.choose(farAngle, angle)).withSign(of: im))
        }

        var asin: Parts { turned.asinh.turnedBack }

        var acos: Parts {
            let angle = asin
            return Parts(Double.pi / 2 - angle.re, -angle.im)
        }

        var acosh: Parts {
            let angle = acos
            return Parts(angle.im.magnitude, angle.re.withSign(of: im))
        }

        var atanh: Parts {
            let (x, y) = (re.magnitude, im.magnitude)
            let gap = 1 - x
            let size = ((4 * x) / (gap * gap + y * y)).log1p * 0.25
            let angle = (2 * y).atan2(gap * (1 + x) - y * y) * 0.5
            let isFlat = (re == 0) && im.isNaN
            let quarter = im.number(Double.pi / 2)
            let far = (re.isInfinite && im.isNaN).choose(im, quarter)
            return Parts(
                (isInfinite || isFlat).choose(0, size).withSign(of: re),
                isInfinite.choose(far, angle).withSign(of: im))
        }

        /// z to a power, by the logarithm; small whole powers lose some digits by it.
        func power(_ exponent: Parts) -> Parts {
            let result = (exponent * log).exp
            let isOne = (exponent.re == 0) && (exponent.im == 0)
            let isZero = (re == 0) && (im == 0)
            let isPlain = (exponent.re > 0) && (exponent.im == 0)
            let (x, y) = (
                isPlain.choose(0, exponent.re.number(.nan)), isPlain.choose(0, exponent.im.number(.nan))
            )
            return Parts(
                isOne.choose(1, isZero.choose(x, result.re)), isOne.choose(0, isZero.choose(y, result.im)))
        }
    }

    // MARK: The ops that they are

    /// Functions of complex numbers by the names of their ops.
    enum ComplexFunctions {
        typealias Formula = @Sendable (_ z: Parts, _ call: Call) throws -> Term

        static let table: [String: Formula] = [
            "abs": { z, _ in z.magnitude },
            "negative": { z, _ in (-z).joined },
            "square": { z, _ in (z * z).joined },
            "sign": { z, _ in z.sign.joined },
            "round": { z, _ in Parts(z.re.rint, z.im.rint).joined },
            "is_nan": { z, _ in z.isNaN },
            "is_inf": { z, _ in z.isInfinite },
            "is_finite": { z, _ in z.isFinite },
            "exp": { z, _ in z.exp.joined },
            "expm1": { z, _ in z.expm1.joined },
            "log": { z, call in
                let epsilon = try call.number("epsilon")
                return (epsilon == 0 ? z : Parts(z.re + epsilon, z.im)).log.joined
            },
            "log1p": { z, _ in z.log1p.joined },
            "log2": { z, _ in (z.log * 1.4426950408889634).joined },
            "log10": { z, _ in (z.log * 0.4342944819032518).joined },
            "inverse": { z, call in
                let epsilon = try call.number("epsilon")
                return (epsilon == 0 ? z : Parts(z.re + epsilon, z.im)).reciprocal.joined
            },
            "sqrt": { z, _ in z.squareRoot.joined },
            "sinh": { z, _ in z.sinh.joined },
            "cosh": { z, _ in z.cosh.joined },
            "tanh": { z, _ in z.tanh.joined },
            "sin": { z, _ in z.sin.joined },
            "cos": { z, _ in z.turned.cosh.joined },
            "tan": { z, _ in z.turned.tanh.turnedBack.joined },
            "asinh": { z, _ in z.asinh.joined },
            "asin": { z, _ in z.asin.joined },
            "acos": { z, _ in z.acos.joined },
            "acosh": { z, _ in z.acosh.joined },
            "atanh": { z, _ in z.atanh.joined },
            "atan": { z, _ in z.turned.atanh.turnedBack.joined },
        ]
    }
#endif
