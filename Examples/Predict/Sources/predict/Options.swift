import Martlet

/// The words of the command line.
struct Options {
    var model = ""
    var device: String?
    var function: String?
    var files: [String: String] = [:]
    var seed: UInt64 = 1
    var zeros = false
    var runs = 10

    init(_ words: ArraySlice<String>) throws {
        var words = words
        func value(of option: String) throws -> String {
            guard let value = words.popFirst() else {
                throw Failure(.invalidArgument, "\(option) needs a value.\n\(usage)")
            }
            return value
        }
        func number<T: FixedWidthInteger>(of option: String) throws -> T {
            let text = try value(of: option)
            guard let number = T(text), number >= 0 else {
                throw Failure(.invalidArgument, "\(option) takes an integer not below 0, not '\(text)'.")
            }
            return number
        }
        while let word = words.popFirst() {
            switch word {
            case "--device": device = try value(of: word)
            case "--function": function = try value(of: word)
            case "--seed": seed = try number(of: word)
            case "--runs": runs = try number(of: word)
            case "--zeros": zeros = true
            case let option where option.hasPrefix("--"):
                throw Failure(.invalidArgument, "There is no option \(option).\n\(usage)")
            default:
                let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
                if model.isEmpty {
                    model = word
                } else if parts.count == 2 {
                    files[parts[0]] = parts[1]
                } else {
                    throw Failure(.invalidArgument, "'\(word)' is neither an option nor NAME=FILE.\n\(usage)")
                }
            }
        }
        if model.isEmpty { throw Failure(.invalidArgument, usage) }
    }
}
