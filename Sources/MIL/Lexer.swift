/// Splits program text into tokens and knows where each stands.
struct Lexer {
    struct Token {
        enum Kind { case name, quotedName, string, number, symbol, end }

        let kind: Kind
        let start: Int
        let end: Int
        /// The character of a symbol, `-` for the arrow `->`; 0 for other tokens.
        var symbol: UInt8 = 0
    }

    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func next() throws -> Token {
        skipSpace()
        let start = position
        guard let first = byte(0) else { return Token(kind: .end, start: start, end: start) }
        switch first {
        case UInt8(ascii: "\""), UInt8(ascii: "`"): return try quoted(by: first)
        case UInt8(ascii: "-") where byte(1) == UInt8(ascii: ">"):
            position += 2
            return Token(kind: .symbol, start: start, end: position, symbol: first)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            return number()
        case _ where Lexer.startsName(first):
            while let next = byte(0), Lexer.continuesName(next) { position += 1 }
            let token = Token(kind: .name, start: start, end: position)
            return Lexer.specialNumbers.contains(text(of: token)) ? withPayload(token) : token
        case _ where Lexer.symbols.contains(first):
            position += 1
            return Token(kind: .symbol, start: start, end: position, symbol: first)
        default: throw failure(at: start, "Found \(character(at: start)) where no token starts with it.")
        }
    }

    // MARK: Kinds of tokens

    static let specialNumbers: Set<String> = ["inf", "infinity", "nan"]
    private static let symbols = Set("()[]{}<>=,;?".utf8)

    static func startsName(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z") || byte == UInt8(ascii: "_")
    }

    static func continuesName(_ byte: UInt8) -> Bool {
        startsName(byte) || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    private func byte(_ ahead: Int) -> UInt8? {
        position + ahead < bytes.count ? bytes[position + ahead] : nil
    }

    /// Skips white space and comments, which run from `//` to the end of the line.
    private mutating func skipSpace() {
        while let next = byte(0) {
            if next == UInt8(ascii: " ") || next >= 9 && next <= 13 {
                position += 1
            } else if next == UInt8(ascii: "/"), byte(1) == next {
                while let rest = byte(0), rest != UInt8(ascii: "\n") { position += 1 }
            } else {
                return
            }
        }
    }

    /// A number in any spelling: everything that could belong to it; what it means is decided with its type.
    private mutating func number() -> Token {
        let start = position
        if byte(0) == UInt8(ascii: "-") || byte(0) == UInt8(ascii: "+") { position += 1 }
        let isHexadecimal = byte(0) == UInt8(ascii: "0") && byte(1).map { $0 | 0x20 } == UInt8(ascii: "x")
        let exponent = UInt8(ascii: isHexadecimal ? "p" : "e")
        while let next = byte(0) {
            if Lexer.continuesName(next) || next == UInt8(ascii: ".") {
                position += 1
                let isSigned = byte(0) == UInt8(ascii: "-") || byte(0) == UInt8(ascii: "+")
                if next | 0x20 == exponent, isSigned { position += 1 }
            } else {
                break
            }
        }
        return withPayload(Token(kind: .number, start: start, end: position))
    }

    /// `nan(0x7e01)` names a NaN by its bits; the parentheses belong to the number.
    private mutating func withPayload(_ token: Token) -> Token {
        if text(of: token) == "nan", byte(0) == UInt8(ascii: "(") {
            var end = position + 1
            while end < bytes.count, Lexer.continuesName(bytes[end]) { end += 1 }
            if end < bytes.count, bytes[end] == UInt8(ascii: ")") { position = end + 1 }
        }
        return Token(kind: .number, start: token.start, end: position)
    }

    private mutating func quoted(by quote: UInt8) throws -> Token {
        let start = position
        position += 1
        while let next = byte(0) {
            position += next == UInt8(ascii: "\\") ? 2 : 1
            if next == quote {
                return Token(kind: quote == UInt8(ascii: "`") ? .quotedName : .string, start: start, end: position)
            }
        }
        let what = quote == UInt8(ascii: "`") ? "quoted name" : "string"
        throw failure(at: start, "Found the end of the text inside the \(what) that starts here.")
    }

    // MARK: Contents

    func text(of token: Token) -> String { String(decoding: bytes[token.start..<token.end], as: UTF8.self) }

    /// What stands between the quotes, escapes replaced: `\n`, `\t`, `\r`, `\u{2028}` and a backslash before a quote,
    /// an apostrophe, a slash or another backslash.
    func unquoted(_ token: Token) throws -> String {
        var result: [UInt8] = []
        var index = token.start + 1
        let end = token.end - 1
        while index < end {
            guard bytes[index] == UInt8(ascii: "\\") else {
                result.append(bytes[index])
                index += 1
                continue
            }
            let escape = bytes[index + 1]
            switch escape {
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"), UInt8(ascii: "/"):
                result.append(escape)
            case UInt8(ascii: "u"):
                guard let close = bytes[index..<end].prefix(12).firstIndex(of: UInt8(ascii: "}")),
                    bytes[index + 2] == UInt8(ascii: "{"), close > index + 3,
                    let code = UInt32(String(decoding: bytes[(index + 3)..<close], as: UTF8.self), radix: 16),
                    let scalar = Unicode.Scalar(code)
                else {
                    throw failure(at: index, "Found '\\u' where \\u{…} with the number of a character is expected.")
                }
                result.append(contentsOf: Array(String(scalar).utf8))
                index = close - 1
            default:
                let found = character(at: index + 1)
                throw failure(
                    at: index,
                    "Found a backslash before \(found); known are \\n, \\t, \\r, \\\\, \\\", \\` and \\u{…}.")
            }
            index += 2
        }
        return String(decoding: result, as: UTF8.self)
    }

    // MARK: Messages

    func failure(at offset: Int, _ message: String, _ kind: Failure.Kind = .malformed) -> Failure {
        Failure(kind, message).at(place(offset))
    }

    /// `line 3, column 7`, both counted from 1, columns in characters.
    func place(_ offset: Int) -> String {
        let before = bytes[..<min(offset, bytes.count)]
        let line = before.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = before[lineStart...].reduce(1) { $1 & 0xc0 == 0x80 ? $0 : $0 + 1 }
        return "line \(line), column \(column)"
    }

    /// A token in a message, shortened where it is long.
    func description(of token: Token) -> String {
        if token.kind == .end { return "the end of the text" }
        let text = text(of: token)
        let start = text.unicodeScalars.prefix(40)
        return start.endIndex == text.endIndex ? "'\(text)'" : "'\(String(String.UnicodeScalarView(start)))…'"
    }

    private func character(at offset: Int) -> String {
        let scalar = String(decoding: bytes[offset..<min(offset + 4, bytes.count)], as: UTF8.self).unicodeScalars.first
        guard let scalar else { return "the end of the text" }
        return scalar.value < 32 ? "the control character \(scalar.value)" : "'\(scalar)'"
    }
}

// MARK: Numbers

extension DataType {
    /// The bits of a number written in decimal or hexadecimal; nil if the text does not say a number of this type.
    func bits(_ text: String) -> UInt64? {
        switch self {
        case .int8: DataType.whole(text, Int8.self).map { UInt64(UInt8(bitPattern: $0)) }
        case .uint8: DataType.whole(text, UInt8.self).map(UInt64.init)
        case .int16: DataType.whole(text, Int16.self).map { UInt64(UInt16(bitPattern: $0)) }
        case .uint16: DataType.whole(text, UInt16.self).map(UInt64.init)
        case .int32: DataType.whole(text, Int32.self).map { UInt64(UInt32(bitPattern: $0)) }
        case .uint32: DataType.whole(text, UInt32.self).map(UInt64.init)
        case .int64: DataType.whole(text, Int64.self).map { UInt64(bitPattern: $0) }
        case .uint64: DataType.whole(text, UInt64.self)
        case .float16:
            special(text)
                ?? Double(text).map { half(float: roundedToOdd($0)) }.flatMap {
                    $0 & 0x7c00 < 0x7c00 ? UInt64($0) : nil
                }
        case .float32, .complex64: special(text) ?? Float(text).flatMap { $0.isFinite ? UInt64($0.bitPattern) : nil }
        case .float64, .complex128: special(text) ?? Double(text).flatMap { $0.isFinite ? $0.bitPattern : nil }
        case .bool, .string: nil
        }
    }

    private static func whole<T: FixedWidthInteger>(_ text: String, _: T.Type) -> T? {
        if let value = T(text) { return value }
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        guard digits.hasPrefix("0x") else { return nil }
        let magnitude = digits.dropFirst(2)
        return magnitude.first?.isHexDigit == true ? T((isNegative ? "-" : "") + magnitude, radix: 16) : nil
    }

    /// The bits of infinity, and of the NaN that computations give.
    var floatSpecials: (infinity: UInt64, nan: UInt64) {
        switch self {
        case .float16: (0x7c00, 0x7e00)
        case .float32, .complex64: (0x7f80_0000, 0x7fc0_0000)
        default: (0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0000)
        }
    }

    private func special(_ text: String) -> UInt64? {
        let (infinity, nan) = floatSpecials
        let sign = (infinity &+ (infinity & (0 &- infinity))) & ~infinity
        switch text {
        case "inf", "infinity", "+inf", "+infinity": return infinity
        case "-inf", "-infinity": return infinity | sign
        case "nan", "+nan": return nan
        case "-nan": return nan | sign
        default:
            guard text.hasPrefix("nan(0x"), text.hasSuffix(")"),
                let bits = UInt64(text.dropFirst(6).dropLast(), radix: 16),
                bits <= sign | (sign - 1), bits & infinity == infinity, bits & (sign - 1) != infinity
            else { return nil }
            return bits
        }
    }
}

/// Double to Float so that rounding once more, to binary16, gives what one rounding would.
private func roundedToOdd(_ value: Double) -> Float {
    var result = Float(value)
    guard result.isFinite, Double(result) != value else { return result }
    if Double(result).magnitude > value.magnitude { result = Float(bitPattern: result.bitPattern - 1) }
    return Float(bitPattern: result.bitPattern | 1)
}
