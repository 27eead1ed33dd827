import MIL

/// The interface part of a model description.
struct DescriptionReader {
    var interfaces: [Interface] = []
    var defaultFunction = ""
    var metadata = Model.Metadata()
    /// Whether the description lists its functions; otherwise its one interface belongs to the only function.
    var listsFunctions = false

    init(_ reader: ProtobufReader) throws {
        var reader = reader
        var single = Interface(function: "")
        while let field = try reader.next() {
            switch field {
            case 1: single.inputs.append(try Feature(reader.message()))
            case 10: single.outputs.append(try Feature(reader.message()))
            case 11: single.predictedFeature = try reader.string()
            case 12: single.predictedProbabilities = try reader.string()
            case 13: single.states.append(try Feature(reader.message()))
            case 20: interfaces.append(try Self.function(reader.message()))
            case 21: defaultFunction = try reader.string()
            case 100: metadata = try Self.metadata(reader.message())
            default: try reader.skip()
            }
        }
        listsFunctions = !interfaces.isEmpty
        if !listsFunctions { interfaces = [single] }
    }

    private static func function(_ reader: ProtobufReader) throws -> Interface {
        var reader = reader
        var interface = Interface(function: "")
        while let field = try reader.next() {
            switch field {
            case 1: interface.function = try reader.string()
            case 2: interface.inputs.append(try Feature(reader.message()))
            case 3: interface.outputs.append(try Feature(reader.message()))
            case 4: interface.predictedFeature = try reader.string()
            case 5: interface.predictedProbabilities = try reader.string()
            case 6: interface.states.append(try Feature(reader.message()))
            default: try reader.skip()
            }
        }
        return interface
    }

    private static func metadata(_ reader: ProtobufReader) throws -> Model.Metadata {
        var reader = reader
        var metadata = Model.Metadata()
        while let field = try reader.next() {
            switch field {
            case 1: metadata.shortDescription = try reader.string()
            case 2: metadata.version = try reader.string()
            case 3: metadata.author = try reader.string()
            case 4: metadata.license = try reader.string()
            case 100:
                var entry = try reader.message()
                var (name, text) = ("", "")
                while let field = try entry.next() {
                    switch field {
                    case 1: name = try entry.string()
                    case 2: text = try entry.string()
                    default: try entry.skip()
                    }
                }
                metadata.userDefined[name] = text
            default: try reader.skip()
            }
        }
        return metadata
    }
}

extension Feature {
    init(_ reader: ProtobufReader) throws {
        var reader = reader
        var type: ProtobufReader?
        var (name, shortDescription) = ("", "")
        while let field = try reader.next() {
            switch field {
            case 1: name = try reader.string()
            case 2: shortDescription = try reader.string()
            case 3: type = try reader.message()
            default: try reader.skip()
            }
        }
        guard !name.isEmpty else { throw Failure(.malformed, "An input or output of the model has no name.") }
        do {
            guard let type, let (kind, isOptional) = try Self.type(type) else {
                throw Failure(.malformed, "It has no type, or one that this version of Martlet does not know.")
            }
            self.init(name, kind, shortDescription: shortDescription, isOptional: isOptional)
        } catch let failure as Failure {
            throw failure.at("The feature '\(name)'")
        }
    }

    private static func type(_ reader: ProtobufReader) throws -> (Kind, isOptional: Bool)? {
        var reader = reader
        var kind: Kind?
        var isOptional = false
        while let field = try reader.next() {
            switch field {
            case 1: (kind, _) = (.int64, try reader.skip())
            case 2: (kind, _) = (.double, try reader.skip())
            case 3: (kind, _) = (.string, try reader.skip())
            case 4: kind = .image(try Image(reader.message()))
            case 5: kind = .multiArray(try MultiArray(reader.message()))
            case 6: kind = .dictionary(key: try scalar(reader.message(), strings: 2))
            case 7: kind = try sequence(reader.message())
            case 8:
                var array: MultiArray?
                try reader.message().each(1) { array = try MultiArray($0.message()) }
                guard let array else { throw Failure(.malformed, "A state must be a multi-array.") }
                kind = .state(array)
            case 1000: isOptional = try reader.bool()
            default: try reader.skip()
            }
        }
        return kind.map { ($0, isOptional) }
    }

    /// Dictionaries and sequences tell int64 from string by the number of an empty message.
    private static func scalar(_ reader: ProtobufReader, strings: Int) throws -> Scalar {
        var reader = reader
        var scalar: Scalar?
        while let field = try reader.next() {
            if field == 1 { scalar = .int64 }
            if field == strings { scalar = .string }
            try reader.skip()
        }
        guard let scalar else { throw Failure(.malformed, "Its elements must be int64 or string.") }
        return scalar
    }

    private static func sequence(_ reader: ProtobufReader) throws -> Kind {
        var range = SizeRange(0, nil)
        try reader.each(101) { range = try SizeRange($0.message()) }
        return .sequence(try scalar(reader, strings: 3), length: range)
    }
}

extension Feature.SizeRange {
    init(_ reader: ProtobufReader) throws {
        var reader = reader
        var (lower, upper) = (0, 0)
        while let field = try reader.next() {
            switch field {
            case 1: lower = try reader.int()
            case 2: upper = try reader.int()
            default: try reader.skip()
            }
        }
        guard lower >= 0, lower <= TensorType.largestByteCount, upper < 0 || upper >= lower else {
            throw Failure(.malformed, "The sizes from \(lower) to \(upper) are no range.")
        }
        self.init(lower, upper < 0 ? nil : upper)
    }
}

extension Feature.MultiArray {
    private static let dtypes: [Int: DataType] = [
        65552: .float16, 65568: .float32, 65600: .float64, 131080: .int8, 131104: .int32,
    ]

    static func code(of dtype: DataType) -> Int? { dtypes.first { $0.value == dtype }?.key }

    init(_ reader: ProtobufReader) throws {
        var reader = reader
        self.init(.float32, [])
        var code = 0
        while let field = try reader.next() {
            switch field {
            case 1: try reader.varints { shape.append(Int(truncatingIfNeeded: $0)) }
            case 2: code = try reader.int()
            case 21: flexibility = .enumerated(try Self.shapes(reader.message()))
            case 31:
                var ranges: [Feature.SizeRange] = []
                try reader.message().each(1) { ranges.append(try Feature.SizeRange($0.message())) }
                flexibility = .ranges(ranges)
            case 41: defaultValue = Double(try reader.int64())
            case 51: defaultValue = Double(try reader.float())
            case 61: defaultValue = try reader.double()
            default: try reader.skip()
            }
        }
        guard let dtype = Self.dtypes[code] else {
            throw Failure(
                .unsupported, "Its element type has the code \(code), which this version of Martlet does not know.")
        }
        self.dtype = dtype
        try checkShapes()
    }

    private static func shapes(_ reader: ProtobufReader) throws -> [[Int]] {
        var shapes: [[Int]] = []
        try reader.each(1) { field in
            var shape: [Int] = []
            try field.message().each(1) { try $0.varints { shape.append(Int(truncatingIfNeeded: $0)) } }
            shapes.append(shape)
        }
        return shapes
    }

    private func checkShapes() throws {
        switch flexibility {
        case .fixed: try SpecLimits.check(shape, dtype)
        case .enumerated(let shapes): for shape in shapes { try SpecLimits.check(shape, dtype) }
        case .ranges(let ranges):
            try SpecLimits.check(shape, dtype)
            guard shape.isEmpty || shape.count == ranges.count else {
                throw Failure(.malformed, "It has \(ranges.count) ranges for a shape of rank \(shape.count).")
            }
        }
    }
}

extension Feature.Image {
    init(_ reader: ProtobufReader) throws {
        var reader = reader
        self.init(width: 0, height: 0, .rgb)
        var code = 0
        while let field = try reader.next() {
            switch field {
            case 1: width = try reader.int()
            case 2: height = try reader.int()
            case 3: code = try reader.int()
            case 21:
                var sizes: [Size] = []
                try reader.message().each(1) { sizes.append(try Self.size($0.message())) }
                flexibility = .enumerated(sizes)
            case 31: flexibility = try Self.ranges(reader.message())
            default: try reader.skip()
            }
        }
        guard let colorSpace = Feature.ColorSpace(rawValue: code) else {
            throw Failure(.malformed, "Its colour space has the code \(code); grayscale, RGB or BGR would be right.")
        }
        self.colorSpace = colorSpace
        try SpecLimits.check([height, width, 4], .float32)
    }

    private static func size(_ reader: ProtobufReader) throws -> Size {
        var reader = reader
        var size = Size(width: 0, height: 0)
        while let field = try reader.next() {
            switch field {
            case 1: size.width = try reader.int()
            case 2: size.height = try reader.int()
            default: try reader.skip()
            }
        }
        try SpecLimits.check([size.height, size.width, 4], .float32)
        return size
    }

    private static func ranges(_ reader: ProtobufReader) throws -> Flexibility {
        var reader = reader
        var (width, height) = (Feature.SizeRange(0, nil), Feature.SizeRange(0, nil))
        while let field = try reader.next() {
            switch field {
            case 1: width = try Feature.SizeRange(reader.message())
            case 2: height = try Feature.SizeRange(reader.message())
            default: try reader.skip()
            }
        }
        return .ranges(width: width, height: height)
    }
}
