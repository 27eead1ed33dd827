// Complex numbers and their parts. Core ML has none of this.

extension OpTable {
    static let complexOps: [Op] = [
        part("real", "the real part of x", .numbersAndComplex),
        part("imag", "the imaginary part of x, 0 where x is real", .numbersAndComplex),
        part("angle", "the angle of x from the positive axis, -π to π", .floatsAndComplex),
        Op(
            "conj", .complex, "x with the sign of its imaginary part turned",
            [.tensor("x", "the values", .numbersAndComplex)], isCoreML: false
        ) { [try $0.type("x")] },
        Op(
            "complex", .complex, "x + i · y",
            [.tensor("x", "the real parts", parts), .tensor("y", "the imaginary parts", parts)], shared: ["x", "y"],
            isCoreML: false
        ) { call in
            let (x, y) = (try call.type("x"), try call.type("y"))
            guard x.dtype == y.dtype else {
                throw Failure(.wrongType, "x is \(x.dtype.name) and y is \(y.dtype.name); both must be of one type.")
            }
            return [TensorType(x.dtype == .float32 ? .complex64 : .complex128, try broadcast(x.shape, y.shape))]
        },
    ]

    private static let parts: Set<DataType> = [.float32, .float64]

    private static func part(_ name: String, _ words: String, _ dtypes: Set<DataType>) -> Op {
        Op(name, .complex, words, [.tensor("x", "the values", dtypes)], isCoreML: false) { call in
            let x = try call.type("x")
            return [TensorType(x.dtype.real, x.shape)]
        }
    }
}

extension DataType {
    /// The type of the parts of complex numbers; other types are their own.
    public var real: DataType {
        switch self {
        case .complex64: .float32
        case .complex128: .float64
        default: self
        }
    }
}
