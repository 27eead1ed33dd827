#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    // Complex numbers and their parts. MPSGraph adds, multiplies and divides complex numbers. Apple does not document
    // functions of them, so these are formulas of the parts, with C's rules for infinities and NaN.

    extension MetalLowerings {
        static let complex: [Lowering] = [
            part("real", .graphNumbers, of: { $0.re }) { $0.applying(MPSGraph.identity(with:name:)) },
            part("imag", .graphNumbers, of: { $0.im }) { $0.number(0).broadcast($0.sizes) },
            part("angle", .graphFloats, of: { $0.im.atan2($0.re) }) { x in
                x.isNaN.choose(x, (x < 0).choose(.pi, x.number(0)))
            },
            part("conj", .graphNumbers, of: { Parts($0.re, -$0.im).joined }) {
                $0.applying(MPSGraph.identity(with:name:))
            },
            Lowering("complex", [.float32, .complex64]) { call, builder in
                [Parts(try builder.term("x", call), try builder.term("y", call)).joined.tensor]
            },
        ]

        private static func part(
            _ name: String, _ dtypes: Set<DataType>, of complex: @escaping @Sendable (Parts) -> Term,
            _ real: @escaping @Sendable (Term) -> Term
        ) -> Lowering {
            Lowering(name, dtypes.union([.complex64])) { call, builder in
                let x = try builder.term("x", call)
                return [x.isComplex ? complex(Parts(x)).tensor : real(x).tensor]
            }
        }
    }
#endif
