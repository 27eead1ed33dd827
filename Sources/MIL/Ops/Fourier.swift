// Discrete Fourier transforms along one axis. Those over several axes are these, one after another.

extension OpTable {
    static let fourierOps: [Op] = [
        fourier("fft", "the transform of x along the axis, Σ x·e^(-2πijk/n)", complex64And128) { x, _ in x },
        fourier("ifft", "the inverse transform of x along the axis, Σ x·e^(2πijk/n) / n", complex64And128) { x, _ in x
        },
        fourier("rfft", "the first n / 2 + 1 numbers of the transform of real x along the axis", [.float32, .float64]) {
            TensorType($0.dtype == .float32 ? .complex64 : .complex128, $0.shape.replacing($1) { $0 / 2 + 1 })
        },
        fourier(
            "irfft", "the n real numbers whose transform begins with x along the axis", complex64And128,
            usual: { 2 * ($0 - 1) }
        ) { x, _ in TensorType(x.dtype == .complex64 ? .float32 : .float64, x.shape) },
    ]

    private static let complex64And128: Set<DataType> = .complex

    /// `result` is the type that follows from x with the axis of length n. `usual` is n where it is left out.
    private static func fourier(
        _ name: String, _ words: String, _ dtypes: Set<DataType>, usual: @escaping @Sendable (Int) -> Int = { $0 },
        result: @escaping @Sendable (_ x: TensorType, _ axis: Int) -> TensorType
    ) -> Op {
        let parameters: [Op.Parameter] = [
            .tensor("x", "the values", dtypes),
            .constant(
                "n",
                "the length of the transform: x is cut or filled up with 0; by default "
                    + (name == "irfft" ? "twice the length of the axis less one" : "the length of the axis"),
                .integers, optional: true),
            .int("axis", "the axis to transform", default: -1),
            .text(
                "norm",
                "where the result is divided by n: `backward` in the inverse transforms, `forward` in the others, "
                    + "`ortho` in all by √n", default: "backward"),
        ]
        return Op(name, .fourier, words, parameters, isCoreML: false) { call in
            let transform = try FourierTransform(call, usual: usual)
            let x = try call.type("x")
            return [result(TensorType(x.dtype, x.shape.replacing(transform.axis) { _ in transform.n }), transform.axis)]
        }
    }
}

/// What a transform works on.
public struct FourierTransform: Sendable, Hashable {
    /// Counted from the front.
    public let axis: Int
    /// The length of the transform.
    public let n: Int
    /// Results are multiplied by this.
    public let scale: Double
    public let isInverse: Bool

    public init(_ call: Call) throws {
        try self.init(call, usual: call.op.name == "irfft" ? { 2 * ($0 - 1) } : { $0 })
    }

    init(_ call: Call, usual: (Int) -> Int) throws {
        let shape = try call.type("x", rank: 1...Int.max).shape
        axis = try call.axis(rank: shape.count)
        n = call.has("n") ? try call.int("n", in: Call.positive) : usual(shape[axis])
        guard n > 0 else {
            throw Failure(
                .invalidArgument, "The axis \(axis) of shape \(shape) makes a transform of \(n) elements; it needs one."
            )
        }
        isInverse = call.op.name.hasPrefix("i")
        switch try call.text("norm", among: ["backward", "ortho", "forward"]) {
        case "ortho": scale = 1 / Double(n).squareRoot()
        case "forward": scale = isInverse ? 1 : 1 / Double(n)
        default: scale = isInverse ? 1 / Double(n) : 1
        }
    }
}

extension [Int] {
    /// The same list with one element changed.
    fileprivate func replacing(_ index: Int, _ change: (Int) -> Int) -> [Int] {
        enumerated().map { $0 == index ? change($1) : $1 }
    }
}
