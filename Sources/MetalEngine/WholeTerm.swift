#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    // Integers, casts, and operations on the bits of a number.

    extension Term {
        /// The range of this integer type, as far as Int reaches.
        var range: ClosedRange<Int> {
            let bits = Swift.min(width, 64)
            if isSigned { return Int.min >> (64 - bits)...Int.max >> (64 - bits) }
            return 0...(bits == 64 ? Int.max : 1 << bits - 1)
        }

        func xor(_ other: Term) -> Term { applying(MPSGraph.logicalXOR, other) }

        /// ⌊self / divisor⌋ of integers; 0 where the divisor is 0. It is not documented how MPSGraph divides them: its
        /// quotient may be cut or rounded, or computed in fp32. The remainder corrects it.
        func quotient(_ divisor: Term) -> Term {
            if type == .uInt64 { return wideQuotient(divisor) }
            let lane: MPSDataType = width < 32 ? .int32 : type == .uInt32 ? .int64 : type
            guard lane == type else { return cast(to: lane).quotient(divisor.cast(to: lane)).cast(to: type) }
            let (isNone, isMinusOne) = (divisor == 0, divisor == -1)
            let safe = (isNone || isMinusOne).choose(2, divisor)
            var (quotient, remainder) = (self / safe, self)
            // Each round leaves a remainder smaller by the bits that fp32 has.
            for _ in 0..<(width == 64 ? 3 : 2) {
                remainder = self - quotient * safe
                quotient = quotient + remainder / safe
            }
            remainder = self - quotient * safe
            let isOver = (remainder != 0) && (remainder < 0).xor(safe < 0)
            return isNone.choose(0, isMinusOne.choose(-self, quotient - isOver.cast(to: type)))
        }

        /// The same of uint64, by half of the dividend, which int64 holds.
        private func wideQuotient(_ divisor: Term) -> Term {
            let signed = divisor.cast(to: .int64)
            let half = (self >> whole(1)).cast(to: .int64).quotient((signed < 0).choose(1, signed))
            let double = half.cast(to: type) * 2
            let isMore = (self - double * divisor >= divisor).cast(to: type)
            let fits = (self >= divisor).cast(to: type)
            return (divisor == 0).choose(0, (signed < 0).choose(fits, double + isMore))
        }

        /// What a division of floating-point numbers leaves, with the sign of the dividend.
        func remainder(_ divisor: Term) -> Term {
            let rest = (isFinite && divisor.isInfinite).choose(self, applying(MPSGraph.modulo, divisor))
            let isOver = (rest != 0) && (rest < 0).xor(self < 0)
            return isOver.choose(rest + divisor.withSign(of: self), rest)
        }

        /// Moved to the left by that many bits; 0 where there are no such places.
        func shifted(left count: Term) -> Term { count.isShift.choose(self << count.isShift.choose(count, 0), 0) }

        /// Moved to the right; the sign fills up from the left.
        func shifted(right count: Term) -> Term {
            let end = isSigned ? self >> whole(width - 1) : whole(0)
            return count.isShift.choose(self >> count.isShift.choose(count, 0), end)
        }

        /// Whether a shift by this many bits leaves some.
        private var isShift: Term { isSigned ? (self >= 0) && (self < Double(width)) : self < Double(width) }

        /// A whole power by squaring. Powers below 0 are cut to 0, but for those of 1 and -1.
        func power(_ exponent: Term, exponent known: Tensor?) -> Term {
            var (result, base) = (whole(1), self)
            for bit in 0..<Term.bits(of: known, within: isSigned ? width - 1 : width) {
                let isSet = (exponent & exponent.whole(1 << bit)) != 0
                result = isSet.choose(result * base, result)
                base = base * base
            }
            guard isSigned else { return result }
            let isOdd = (exponent & exponent.whole(1)) != 0
            let ofOne = (self == 1).choose(
                1, ((self == -1) && isOdd).choose(-1, ((self == -1) && !isOdd).choose(1, self.zeros)))
            return (exponent < 0).choose(ofOne, result)
        }

        /// How many bits exponents have that are known.
        private static func bits(of exponent: Tensor?, within width: Int) -> Int {
            guard let largest = exponent?.ints?.map(\.magnitude).max() else { return width }
            return Swift.min(width, Swift.max(1, UInt.bitWidth - largest.leadingZeroBitCount))
        }

        /// The number of fp32 next to this one on the way to another.
        func next(towards other: Term) -> Term {
            let bits = Term(graph.reinterpretCast(tensor, to: .int32, name: nil), graph)
            let isUp = (self < other).xor(self < 0)
            let step = isUp.choose(bits + 1, bits - 1)
            let least = other.isMinus.choose(bits.whole(Int(Int32.min) + 1), bits.whole(1))
            let moved = Term(
                graph.reinterpretCast((self == 0).choose(least, step).tensor, to: .float32, name: nil), graph)
            let isNowhere = isNaN || other.isNaN
            return isNowhere.choose(self + other, (self == other).choose(other, moved))
        }

        // MARK: Casts and choices

        /// One term or the other, of any element type: booleans by logic, complex numbers by their parts.
        func chooseAny(_ a: Term, _ b: Term) -> Term {
            if a.type == .bool { return (self && a) || (!self && b) }
            guard a.isComplex else { return choose(a, b) }
            let (x, y) = (Parts(a), Parts(b))
            return Parts(choose(x.re, y.re), choose(x.im, y.im)).joined
        }

        /// In another element type: floating-point numbers that become integers are cut towards zero and held within
        /// the range, with 0 for NaN; integers wrap around.
        func converted(to type: MPSDataType) -> Term {
            if type == self.type { return applying(MPSGraph.identity(with:name:)) }
            if isComplex {
                let parts = Parts(self)
                return (parts.re != 0) || (parts.im != 0)
            }
            if type == .bool { return self != 0 }
            if type == .complexFloat32 {
                let real = cast(to: .float32)
                return Parts(real, real.number(0)).joined
            }
            let isWhole = type != .float16 && type != .float32
            return isFloat && isWhole ? cast(to: .float32).cut(to: type) : cast(to: type)
        }

        /// fp32 as integers. Numbers outside their range are never cast, as the result is not documented.
        private func cut(to type: MPSDataType) -> Term {
            let whole = Term(graph.constant(0, shape: [NSNumber(value: 1)], dataType: type), graph)
            let bits = whole.width - (whole.isSigned ? 1 : 0)
            // The least number above the range, and the largest of fp32 within it.
            let end = Double(sign: .plus, exponent: bits, significand: 1)
            let last = bits <= 24 ? end - 1 : Double(Float(end).nextDown)
            let held = isNaN.choose(0, self).held(from: whole.isSigned ? -end : 0, to: last)
            let cast = held.truncated.cast(to: type)
            return bits <= 24 ? cast : (self >= end).choose(whole.largest, cast)
        }

        /// The largest integer of this element type.
        private var largest: Term { isSigned ? whole(range.upperBound) : whole(-1) }
    }
#endif
